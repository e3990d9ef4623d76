//! Brushing by hand: outlines drawn with real pointer events on the map of the first sample, the six modes by their buttons, and
//! what every view reads of it.

use asterism::panes::rows;
use asterism::widgets::{Frame, Range2};
use asterism_data::RowSet;
use asterism_session::{Provenance, SelectMode};
use egui::{Key, Modifiers, Rect};

use crate::drive::*;

/// The first sample, mapped, with nothing selected, and the place of the map.
fn mapped() -> (Window, Frame) {
    let mut w = window(&["sample:a478"]);
    until(&mut w, "the map", |w| w.state().session.doc().selection.any() && !w.state().session.busy());
    key(&mut w, Modifiers::NONE, Key::Escape);
    assert!(selected(&w).is_empty() || selected(&w).count() == 0, "Esc clears");
    let rect = find(&w, "Scatter plot").expect("the map").rect();
    let map = front(&w).map().expect("a map").clone();
    let view = Range2::of_points(map.xy.iter().map(|p| p.map(f64::from)));
    (w, Frame { rect, view })
}

/// The rows whose marks lie in a part of the plot; beside it those so near to its edge that either answer is right.
fn inside(w: &Window, frame: &Frame, part: Rect) -> (RowSet, RowSet) {
    let map = front(w).map().expect("a map");
    let at = |row: usize| frame.pt_from_data(map.xy[row].map(f64::from));
    let n = map.xy.len();
    (
        RowSet::from_fn(n, |r| part.contains(at(r))),
        RowSet::from_fn(n, |r| part.expand(1.0).contains(at(r)) && !part.shrink(1.0).contains(at(r))),
    )
}

fn part(frame: &Frame, x: [f32; 2], y: [f32; 2]) -> Rect {
    Rect::from_points(&around(frame.rect, x, y))
}

/// The selection is these rows, up to those on an edge.
fn assert_rows(w: &Window, wanted: &RowSet, edge: &RowSet, what: &str) {
    let wrong = selected(w).xor(wanted).and_not(edge);
    assert_eq!(wrong.count(), 0, "{what}: {} selected, {} wanted", selected(w).count(), wanted.count());
}

/// What every pane reads, and what the foot and the table say, are this selection.
fn assert_all_views(w: &Window) {
    let count = selected(w).count();
    let app = w.state();
    let look = rows::look(&w.ctx, app.session.doc(), &app.theme).expect("a look");
    assert_eq!(look.selected, count);
    let total = front(w).table.rows();
    let lit = (0..total).filter(|r| look.chosen[r / 64] >> (r % 64) & 1 == 1).count();
    assert_eq!(lit, count, "the marks");
    let with_commas = |n: usize| asterism::window::kit::thousands(n);
    assert!(shows(w, &format!("{} / {} selected", with_commas(count), with_commas(total))), "the table's bar");
    assert!(shows(w, &format!(" / {} selected", with_commas(total))), "the foot");
}

#[test]
fn a_lasso_by_hand_lights_up_in_every_view_and_can_be_taken_back() {
    let (mut w, frame) = mapped();
    let (x, y) = ([0.03, 0.5], [0.03, 0.97]);
    let left = part(&frame, x, y);
    let (wanted, edge) = inside(&w, &frame, left);
    assert!((50..1550).contains(&wanted.count()), "the half has {} rows", wanted.count());

    // While the hand draws nothing is selected yet, and the number of rows stands beside the cursor.
    begin_drag(&mut w, &around(frame.rect, x, y), Modifiers::SHIFT);
    assert_eq!(selected(&w).count(), 0);
    let note = w.state().shared.cursor_note.clone();
    assert!(note.starts_with("+ ") && note.contains("row"), "{note}");
    // Esc ends the gesture and selects nothing.
    key(&mut w, Modifiers::NONE, Key::Escape);
    w.event(egui::Event::PointerButton {
        pos: left.left_top(),
        button: egui::PointerButton::Primary,
        pressed: false,
        modifiers: Modifiers::NONE,
    });
    w.step();
    w.step();
    assert_eq!(selected(&w).count(), 0, "Esc dropped the outline");

    drag(&mut w, &around(frame.rect, x, y), Modifiers::SHIFT);
    assert_rows(&w, &wanted, &edge, "the lasso");
    assert_all_views(&w);
    let lassoed = selected(&w);

    // Shift adds, Alt removes.
    let (right, right_edge) = inside(&w, &frame, part(&frame, [0.6, 0.97], [0.03, 0.6]));
    drag(&mut w, &around(frame.rect, [0.6, 0.97], [0.03, 0.6]), Modifiers::SHIFT);
    assert_rows(&w, &wanted.or(&right), &edge.or(&right_edge), "Shift adds");
    assert_all_views(&w);
    let (top, top_edge) = inside(&w, &frame, part(&frame, [0.1, 0.9], [0.1, 0.4]));
    drag(&mut w, &around(frame.rect, [0.1, 0.9], [0.1, 0.4]), Modifiers::ALT);
    assert_rows(&w, &wanted.or(&right).and_not(&top), &edge.or(&right_edge).or(&top_edge), "Alt removes");

    // Each gesture is one step of undo.
    key(&mut w, Modifiers::COMMAND, Key::Z);
    key(&mut w, Modifiers::COMMAND, Key::Z);
    assert_eq!(selected(&w), lassoed, "Ctrl+Z twice");
    assert_all_views(&w);
    key(&mut w, Modifiers::COMMAND, Key::Z);
    assert_eq!(selected(&w).count(), 0);
    key(&mut w, Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    assert_eq!(selected(&w), lassoed, "Ctrl+Shift+Z");
    assert_all_views(&w);

    // Hiding the rest changes what is drawn and nothing of the selection.
    press(&mut w, "Hide the rest");
    assert!(w.state().session.doc().hide_rest && selected(&w) == lassoed);
    press(&mut w, "Hide the rest");

    key(&mut w, Modifiers::NONE, Key::Escape);
    assert_eq!(selected(&w).count(), 0, "Esc clears");
    assert_all_views(&w);
}

#[test]
fn the_six_modes_by_their_buttons() {
    let (mut w, frame) = mapped();
    let (ax, ay) = ([0.02, 0.5], [0.02, 0.98]);
    let (bx, by) = ([0.06, 0.94], [0.5, 0.94]);
    let (a, a_edge) = inside(&w, &frame, part(&frame, ax, ay));
    let (b, b_edge) = inside(&w, &frame, part(&frame, bx, by));
    let edge = a_edge.or(&b_edge);
    assert!(a.and(&b).count() > 20 && a.and_not(&b).count() > 20 && b.and_not(&a).count() > 20);
    press(&mut w, "Lasso");
    for (name, mode, wanted) in [
        ("Replace", SelectMode::Replace, b.clone()),
        ("Or", SelectMode::Or, a.or(&b)),
        ("And", SelectMode::And, a.and(&b)),
        ("Xor", SelectMode::Xor, a.xor(&b)),
        ("And not", SelectMode::AndNot, a.and_not(&b)),
        ("New", SelectMode::New, b.clone()),
    ] {
        press(&mut w, "Replace");
        drag(&mut w, &around(frame.rect, ax, ay), Modifiers::NONE);
        assert_rows(&w, &a, &edge, "the first outline");
        press(&mut w, name);
        assert_eq!(w.state().session.doc().mode, mode);
        let subsets = front(&w).subsets.len();
        drag(&mut w, &around(frame.rect, bx, by), Modifiers::NONE);
        assert_rows(&w, &wanted, &edge, name);
        assert_all_views(&w);
        assert_eq!(front(&w).subsets.len(), subsets + usize::from(mode == SelectMode::New), "{name}");
        if mode == SelectMode::New {
            assert_eq!(*front(&w).subsets.last().expect("the new subset").rows, selected(&w));
        }
    }
}

#[test]
fn the_other_tools_draw_what_their_names_say() {
    let (mut w, frame) = mapped();
    press(&mut w, "Replace");
    let (x, y) = ([0.2, 0.8], [0.25, 0.9]);
    let way = around(frame.rect, x, y);
    let (boxed, edge) = inside(&w, &frame, part(&frame, x, y));

    // A box is its two corners.
    key(&mut w, Modifiers::NONE, Key::R);
    drag(&mut w, &[way[0], way[2]], Modifiers::NONE);
    assert_rows(&w, &boxed, &edge, "the box");
    assert_all_views(&w);

    // A circle from its centre.
    key(&mut w, Modifiers::NONE, Key::C);
    let (centre, radius) = (frame.rect.center(), frame.rect.height() * 0.3);
    drag(&mut w, &[centre, centre + egui::vec2(radius, 0.0)], Modifiers::NONE);
    let map = front(&w).map().expect("a map").clone();
    let away = |r: usize| frame.pt_from_data(map.xy[r].map(f64::from)).distance(centre);
    let circle = RowSet::from_fn(map.xy.len(), |r| away(r) <= radius);
    let rim = RowSet::from_fn(map.xy.len(), |r| (away(r) - radius).abs() < 1.5);
    assert_rows(&w, &circle, &rim, "the circle");

    // A plain drag with the hand moves the view and selects nothing.
    key(&mut w, Modifiers::NONE, Key::H);
    let before = selected(&w);
    drag(
        &mut w,
        &[frame.rect.left_top() + egui::vec2(30.0, 30.0), frame.rect.left_top() + egui::vec2(90.0, 70.0)],
        Modifiers::NONE,
    );
    assert_eq!(selected(&w), before, "panning selects nothing");
}

/// On a slow machine a whole stroke can come between two frames: it is the stroke that was drawn, with the key that was held.
#[test]
fn a_stroke_between_two_frames_loses_no_corner_and_no_key() {
    let (mut w, frame) = mapped();
    let (x, y) = ([0.02, 0.6], [0.02, 0.98]);
    let (wanted, edge) = inside(&w, &frame, part(&frame, x, y));
    let way = around(frame.rect, x, y);
    let button =
        |pos, pressed, modifiers| egui::Event::PointerButton { pos, button: egui::PointerButton::Primary, pressed, modifiers };
    // The cursor comes to where the stroke begins.
    w.event(egui::Event::PointerMoved(way[0]));
    w.step();
    // Button down with Shift, all corners, and Shift up again: one frame.
    let events = &mut w.input_mut().events;
    events.push(egui::Event::PointerMoved(way[0]));
    events.push(button(way[0], true, Modifiers::SHIFT));
    events.extend(way[1..].iter().map(|p| egui::Event::PointerMoved(*p)));
    w.step();
    w.event(button(way[way.len() - 1], false, Modifiers::NONE));
    w.step();
    w.step();
    assert_rows(&w, &wanted, &edge, "the stroke of one frame");
}

/// Corner by corner: clicks, one taken back, closed by Enter; then moved, with what was selected before staying.
#[test]
fn a_polygon_is_drawn_by_clicks_and_only_the_last_outline_is_moved() {
    let (mut w, frame) = mapped();
    press(&mut w, "Replace");
    let click = |w: &mut Window, at: egui::Pos2| {
        for pressed in [true, false] {
            w.event(egui::Event::PointerMoved(at));
            w.event(egui::Event::PointerButton {
                pos: at,
                button: egui::PointerButton::Primary,
                pressed,
                modifiers: Modifiers::NONE,
            });
            w.step();
        }
        // Two clicks in a row are no double click.
        w.input_mut().time = Some(w.input().time.unwrap_or(0.0) + 1.0);
        w.step();
    };
    let (x, y) = ([0.05, 0.5], [0.1, 0.9]);
    let way = around(frame.rect, x, y);
    let (wanted, edge) = inside(&w, &frame, part(&frame, x, y));
    key(&mut w, Modifiers::NONE, Key::P);
    click(&mut w, way[0]);
    click(&mut w, way[1]);
    click(&mut w, frame.rect.center());
    key(&mut w, Modifiers::NONE, Key::Backspace);
    click(&mut w, way[2]);
    click(&mut w, way[3]);
    assert_eq!(selected(&w).count(), 0, "it is not closed yet");
    key(&mut w, Modifiers::NONE, Key::Enter);
    assert_rows(&w, &wanted, &edge, "the polygon");
    assert_all_views(&w);

    // A box beside it is added, and moved by its upper edge: the polygon's rows stay.
    key(&mut w, Modifiers::NONE, Key::R);
    let (x2, y2) = ([0.6, 0.75], [0.3, 0.6]);
    let second = around(frame.rect, x2, y2);
    drag(&mut w, &[second[0], second[2]], Modifiers::SHIFT);
    let (added, edge2) = inside(&w, &frame, part(&frame, x2, y2));
    assert_rows(&w, &wanted.or(&added), &edge.or(&edge2), "polygon and box");
    let top = Rect::from_points(&second).center_top();
    let by = egui::vec2(frame.rect.width() * 0.1, frame.rect.height() * 0.2);
    drag(&mut w, &[top, top + by], Modifiers::NONE);
    let moved = part(&frame, x2, y2).translate(by);
    let (there, edge3) = inside(&w, &frame, moved);
    assert_rows(&w, &wanted.or(&there), &edge.or(&edge3), "the box elsewhere");
    key(&mut w, Modifiers::COMMAND, Key::Z);
    assert_rows(&w, &wanted.or(&added), &edge.or(&edge2), "Undo puts the box back");
}

#[test]
fn a_range_along_either_axis_stays_and_can_be_moved() {
    let home = home();
    // A grid of 40 × 40 places, so that the rows of any range are known.
    let mut csv = String::from("u,v\n");
    (0..1600).for_each(|i| csv.push_str(&format!("{},{}\n", i % 40, i / 40)));
    let path = home.join("grid.csv");
    std::fs::write(&path, csv).expect("written");
    let mut w = window(&[path.to_str().expect("a path")]);
    until(&mut w, "rows", |w| rows_of(w) == 1600 && !w.state().session.busy());
    until(&mut w, "the plot", |w| find(w, "Scatter plot").is_some());
    (0..6).for_each(|_| w.step());
    let rect = find(&w, "Scatter plot").expect("the plot").rect();
    let span = |w: &Window| match w.state().session.doc().selection.steps.last().map(|(_, why)| &**why) {
        Some(Provenance::Range { column, min, max }) => (column.clone(), [*min, *max]),
        other => panic!("no range: {other:?}"),
    };
    let held = |w: &Window, axis: usize, ends: [f64; 2]| {
        let wanted = RowSet::from_fn(1600, |r| {
            let v = [r % 40, r / 40][axis] as f64;
            v >= ends[0] && v <= ends[1]
        });
        assert_eq!(selected(w), wanted, "rows {ends:?} along {axis}");
        wanted.count()
    };
    key(&mut w, Modifiers::NONE, Key::X);
    let at = |x: f32, y: f32| rect.lerp_inside(egui::vec2(x, y));
    drag(&mut w, &[at(0.3, 0.5), at(0.4, 0.51), at(0.6, 0.52)], Modifiers::NONE);
    let (column, ends) = span(&w);
    assert_eq!(column, "u");
    let across = held(&w, 0, ends);
    assert!((200..1000).contains(&across), "{across}");
    // Its right end is dragged further; what was its left end stays.
    drag(&mut w, &[at(0.6, 0.7), at(0.7, 0.7), at(0.8, 0.7)], Modifiers::NONE);
    let (column, wider) = span(&w);
    assert!(column == "u" && wider[0] == ends[0] && wider[1] > ends[1] + 2.0, "{wider:?} after {ends:?}");
    assert!(held(&w, 0, wider) > across);
    // The bar above moves both.
    let bar = egui::pos2(at(0.5, 0.0).x, rect.top() + 3.0);
    drag(&mut w, &[bar, bar - egui::vec2(0.05 * rect.width(), 0.0), bar - egui::vec2(0.1 * rect.width(), 0.0)], Modifiers::NONE);
    let (_, moved) = span(&w);
    assert!((moved[1] - moved[0] - (wider[1] - wider[0])).abs() < 1e-3 && moved[0] < ends[0] - 1.0, "{moved:?}");
    held(&w, 0, moved);
    assert_eq!(w.state().session.doc().selection.steps.len(), 1, "it was moved, not drawn again");
    // Upwards: a range of the other column.
    drag(&mut w, &[at(0.05, 0.3), at(0.05, 0.5), at(0.06, 0.6)], Modifiers::NONE);
    let (column, ends) = span(&w);
    assert_eq!(column, "v");
    held(&w, 1, ends);
    // Undo takes it back to the range before, which lies on the plot again and can be moved again.
    key(&mut w, Modifiers::COMMAND, Key::Z);
    assert_eq!(span(&w).1, moved);
    held(&w, 0, moved);
}

fn rows_of(w: &Window) -> usize {
    w.state().session.doc().dataset().map_or(0, |d| d.table.rows())
}
