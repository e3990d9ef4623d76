//! Every colour and size of the window, dark and light. Colour literals live here and nowhere else.

use std::sync::Arc;

use egui::style::WidgetVisuals;
use egui::{Color32, CornerRadius, FontData, FontDefinitions, FontFamily, FontId, Margin, Stroke, Style, TextStyle, Visuals};

/// One theme.
#[derive(Clone, Debug, PartialEq)]
pub struct Theme {
    /// Dark background.
    pub dark: bool,
    /// Behind panels and bars.
    pub frame: Color32,
    /// Behind plots and tables.
    pub pane: Color32,
    /// Behind text fields and code.
    pub field: Color32,
    /// Hovered rows and buttons.
    pub hovered: Color32,
    /// Lines between things, one point wide.
    pub hairline: Color32,
    /// Text.
    pub text: Color32,
    /// Second text.
    pub second: Color32,
    /// Third text: units, hints, tick labels.
    pub third: Color32,
    /// The one accent.
    pub accent: Color32,
    /// Filled buttons and active choices.
    pub accent_fill: Color32,
    /// Text upon `accent_fill`.
    pub on_accent: Color32,
    /// Rows outside the selection.
    pub context: Color32,
    /// The selection itself, where no subset gives a colour.
    pub selected: Color32,
    /// Warnings.
    pub warning: Color32,
    /// Errors.
    pub error: Color32,
    /// Outline of a lasso.
    pub outline: Color32,
    /// Buttons at rest.
    pub raised: Color32,
    /// Buttons under the cursor.
    pub raised_hovered: Color32,
    /// Behind the mode in force: the accent, softly.
    pub soft: Color32,
    /// Text upon `soft`.
    pub on_soft: Color32,
    /// Behind floating panels.
    pub shadow: Color32,
}

/// Rows of tables, points.
pub const ROW_HEIGHT: f32 = 24.0;
/// Padding of the rail, points.
pub const PADDING: f32 = 14.0;
/// Tab bars, points.
pub const TAB_HEIGHT: f32 = 30.0;
/// The foot, points.
pub const FOOT_HEIGHT: f32 = 26.0;
/// Body text, points.
pub const BODY: f32 = 13.0;
/// Small text, points.
pub const SMALL: f32 = 12.0;

const fn rgb(hex: u32) -> Color32 {
    Color32::from_rgb((hex >> 16) as u8, (hex >> 8) as u8, hex as u8)
}

impl Theme {
    /// Dark.
    pub fn dark() -> Self {
        Self {
            dark: true,
            frame: rgb(0x1b1d22),
            pane: rgb(0x15171b),
            field: rgb(0x121418),
            hovered: rgb(0x262930),
            hairline: rgb(0x2a2d33),
            text: rgb(0xd7dae0),
            second: rgb(0xa7adb6),
            third: rgb(0x7d848e),
            accent: rgb(0x56b4e9),
            accent_fill: rgb(0x2d6ca2),
            on_accent: rgb(0xffffff),
            context: rgb(0x596069),
            selected: rgb(0xe69f00),
            warning: rgb(0xe6b450),
            error: rgb(0xf07178),
            outline: rgb(0xf2f4f8),
            raised: rgb(0x2a2e35),
            raised_hovered: rgb(0x343942),
            soft: rgb(0x23405a),
            on_soft: rgb(0xe3f2fc),
            shadow: Color32::from_black_alpha(120),
        }
    }
    /// Light.
    pub fn light() -> Self {
        Self {
            dark: false,
            frame: rgb(0xf3f4f6),
            pane: rgb(0xffffff),
            field: rgb(0xffffff),
            hovered: rgb(0xe6e9ee),
            hairline: rgb(0xd5d8de),
            text: rgb(0x1d2026),
            second: rgb(0x474d57),
            third: rgb(0x666d78),
            accent: rgb(0x0b6aa8),
            accent_fill: rgb(0x0b6aa8),
            on_accent: rgb(0xffffff),
            context: rgb(0xa9b0ba),
            selected: rgb(0xc98700),
            warning: rgb(0x8a5a00),
            error: rgb(0xb3261e),
            outline: rgb(0x14161a),
            raised: rgb(0xe4e7ec),
            raised_hovered: rgb(0xd8dde4),
            soft: rgb(0xd3e6f4),
            on_soft: rgb(0x0a4a76),
            shadow: Color32::from_black_alpha(50),
        }
    }
}

/// The one that a person chose.
pub fn of(light: bool) -> Theme {
    if light { Theme::light() } else { Theme::dark() }
}

/// Okabe and Ito's colours for classes, sRGB, safe for colour-blind eyes.
pub const OKABE_ITO: [[u8; 3]; 8] =
    [[230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [0, 114, 178], [213, 94, 0], [204, 121, 167], [153, 153, 153]];

/// Name of the heavier face, for headings.
const SEMIBOLD: &str = "semibold";

/// The heavier face.
pub fn semibold(size_pt: f32) -> FontId {
    FontId::new(size_pt, FontFamily::Name(SEMIBOLD.into()))
}

/// Body text.
pub fn body() -> FontId {
    FontId::proportional(BODY)
}

/// Small text.
pub fn small() -> FontId {
    FontId::proportional(SMALL)
}

/// ADQL, recipes and key caps.
pub fn mono(size_pt: f32) -> FontId {
    FontId::monospace(size_pt)
}

/// The bundled faces: Inter (regular, semibold) and JetBrains Mono, for the window and for pictures.
pub const FONTS: [&[u8]; 3] = [
    include_bytes!("../../assets/fonts/Inter-Regular.ttf"),
    include_bytes!("../../assets/fonts/Inter-SemiBold.ttf"),
    include_bytes!("../../assets/fonts/JetBrainsMono-Regular.ttf"),
];

/// The bundled faces, before egui's own, which fill in what these lack.
fn fonts() -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    let mut add = |name: &str, bytes: &'static [u8]| {
        fonts.font_data.insert(name.to_owned(), Arc::new(FontData::from_static(bytes)));
    };
    add("inter", FONTS[0]);
    add("inter-semibold", FONTS[1]);
    add("jetbrains-mono", FONTS[2]);
    let rest = fonts.families.get(&FontFamily::Proportional).cloned().unwrap_or_default();
    let with = |first: &str| std::iter::once(first.to_owned()).chain(rest.iter().cloned()).collect::<Vec<_>>();
    fonts.families.insert(FontFamily::Name(SEMIBOLD.into()), with("inter-semibold"));
    fonts.families.insert(FontFamily::Proportional, with("inter"));
    fonts.families.entry(FontFamily::Monospace).or_default().insert(0, "jetbrains-mono".to_owned());
    fonts
}

/// Load the fonts. Once, when the window is made.
pub fn install_fonts(ctx: &egui::Context) {
    ctx.set_fonts(fonts());
}

/// Give egui the look of `theme`; may be called again at any time, to change it.
pub fn apply(ctx: &egui::Context, theme: &Theme) {
    let which = if theme.dark { egui::Theme::Dark } else { egui::Theme::Light };
    ctx.set_theme(which);
    let mut style = Style { visuals: visuals(theme), ..Style::default() };
    style.text_styles = [
        (TextStyle::Heading, semibold(BODY)),
        (TextStyle::Body, body()),
        (TextStyle::Button, body()),
        (TextStyle::Small, small()),
        (TextStyle::Monospace, mono(12.0)),
    ]
    .into();
    let s = &mut style.spacing;
    s.item_spacing = egui::vec2(8.0, 4.0);
    s.button_padding = egui::vec2(8.0, 4.0);
    s.interact_size = egui::vec2(24.0, 24.0);
    s.menu_margin = Margin::same(6);
    // Menus and dialogs scroll only when the window is lower than this.
    s.default_area_size = egui::vec2(600.0, 2000.0);
    s.window_margin = Margin::same(16);
    s.icon_width = 14.0;
    s.icon_width_inner = 8.0;
    s.icon_spacing = 6.0;
    s.indent = 16.0;
    s.slider_width = 120.0;
    s.slider_rail_height = 3.0;
    s.combo_width = 60.0;
    s.combo_height = 320.0;
    s.tooltip_width = 340.0;
    s.scroll = egui::style::ScrollStyle::floating();
    s.scroll.bar_width = 8.0;
    s.scroll.floating_allocated_width = 0.0;
    style.interaction.selectable_labels = false;
    style.interaction.tooltip_delay = 0.4;
    style.animation_time = 0.1;
    style.compact_menu_style = false;
    // For both of egui's themes: whoever chooses between them after us (a test's harness, a desktop) leaves the look whole.
    ctx.set_style_of(egui::Theme::Dark, style.clone());
    ctx.set_style_of(egui::Theme::Light, style);
}

fn visuals(theme: &Theme) -> Visuals {
    let mut v = if theme.dark { Visuals::dark() } else { Visuals::light() };
    let line = Stroke::new(1.0, theme.hairline);
    let radius = CornerRadius::same(4);
    let state = |fill: Color32, text: Color32, stroke: Stroke| WidgetVisuals {
        bg_fill: fill,
        weak_bg_fill: fill,
        bg_stroke: stroke,
        corner_radius: radius,
        fg_stroke: Stroke::new(1.2, text),
        expansion: 0.0,
    };
    v.widgets.noninteractive = state(theme.frame, theme.text, line);
    v.widgets.inactive = state(theme.raised, theme.text, Stroke::NONE);
    v.widgets.hovered = state(theme.raised_hovered, theme.text, Stroke::NONE);
    v.widgets.active = state(theme.accent_fill, theme.on_accent, Stroke::NONE);
    v.widgets.open = state(theme.raised_hovered, theme.text, Stroke::NONE);
    v.selection.bg_fill = theme.soft;
    v.selection.stroke = Stroke::new(1.0, if theme.dark { theme.accent } else { theme.accent_fill });
    v.weak_text_color = Some(theme.third);
    v.hyperlink_color = theme.accent;
    v.faint_bg_color = theme.hovered;
    v.extreme_bg_color = theme.field;
    v.text_edit_bg_color = Some(theme.field);
    v.code_bg_color = theme.field;
    v.warn_fg_color = theme.warning;
    v.error_fg_color = theme.error;
    v.panel_fill = theme.frame;
    v.window_fill = theme.frame;
    v.window_stroke = line;
    v.window_corner_radius = CornerRadius::same(8);
    v.menu_corner_radius = CornerRadius::same(6);
    let shadow = egui::Shadow { offset: [0, 6], blur: 20, spread: 0, color: theme.shadow };
    v.window_shadow = shadow;
    v.popup_shadow = shadow;
    v.slider_trailing_fill = true;
    v.handle_shape = egui::style::HandleShape::Circle;
    v.striped = false;
    v.indent_has_left_vline = false;
    v.collapsing_header_frame = false;
    v
}
