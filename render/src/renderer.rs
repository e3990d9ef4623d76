//! Draws scatters and images into a [`Canvas`] and lays it onto the window.
//!
//! A scatter takes five steps on the GPU, nothing of which is read back: *gather* finds the rows in view and writes their marks
//! into a list, *decide* sets opacity and the share between marks and field, *splat* counts points per pixel where the field has
//! a share, *histogram* and *white* find its white point, then the marks are drawn into weighted sums (one indirect draw a
//! layer) and *resolve* puts background, rest and selection together. The shaders say the rest; `reference` is the twin.
//!
//! Choices not taken: choosing between marks and field on the CPU (it would have to count the rows in view or read them back);
//! 64-bit atomics (missing on Metal and GL); instanced quads; MSAA. Cost: 8 B read a point and pass. A software adapter would take
//! about 120 ns a point and 3 us a mark, our threads 35 ns and 0.6 us, which is why the budget is 20 k there.
//!
//! Devices without compute shaders or without storage buffers in vertex shaders (WebGL-class GL), and software adapters, get
//! [`Tier::Reference`]: the same picture from our own threads, uploaded.

mod pipelines;

use pipelines::{Draw, Full, OVER, Slot, bind, draw_pipeline, groups, layout, module, storage, target_pass, uniform, view_of};

use crate::{
    Error,
    canvas::{Canvas, FORMAT, Key},
    cpu,
    fold::Fold,
    image::{ImageLook, ImageTexture, level_for},
    points::{CHUNK, Chunk, Kept, Points, fold_frame, words},
    reference,
    view::{Affine, Density, PLAIN, Style, Tone, View},
};

/// Who draws scatters on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// The device, by compute shaders and storage buffers.
    Full,
    /// The threads of the processor ([`crate::cpu`]); the device gets the picture.
    Reference,
}

impl Tier {
    /// By the limits that the device was opened with, and [`Tier::Reference`] for software adapters: our own threads do the same
    /// work there in a fraction of the time.
    pub fn of(device: &wgpu::Device) -> Self {
        match device.adapter_info().device_type {
            wgpu::DeviceType::Cpu => Self::Reference,
            _ => Self::by_limits(device),
        }
    }

    /// By the limits alone.
    pub fn by_limits(device: &wgpu::Device) -> Self {
        let l = device.limits();
        let full = l.max_storage_buffers_per_shader_stage >= 8
            && l.max_compute_invocations_per_workgroup >= 256
            && l.max_compute_workgroup_size_x >= 256
            && l.max_compute_workgroups_per_dimension >= 4096
            && l.max_compute_workgroup_storage_size >= 4096
            && l.max_storage_buffer_binding_size >= (CHUNK * 16) as u64;
        if full { Self::Full } else { Self::Reference }
    }
}

/// Uniform of one chunk and draw: `Frame` of frame.wgsl.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Frame {
    centre: [f32; 2],
    scale: [f32; 2],
    offset: [f32; 2],
    size: [f32; 2],
    radius: f32,
    opacity: f32,
    budget: f32,
    density: u32,
    rows: u32,
    words: u32,
    capacity: u32,
    flags: u32,
    shift: u32,
    columns: u32,
    cells: u32,
    context: u32,
    plain: u32,
    background: u32,
    row: u32,
    lone: u32,
    glide: f32,
    first: u32,
    second: u32,
    tone: u32,
}

const ANY_SELECTED: u32 = 1;
const HIDE_REST: u32 = 2;
const HAS_COLOURS: u32 = 4;
const HAS_SIZES: u32 = 8;
const HAS_HIDDEN: u32 = 16;
const GLIDES: u32 = 32;

/// Sizes of targets that are kept.
const SIZES: usize = 4;
/// Words of the state buffer; frame.wgsl names the places.
const STATE_WORDS: u64 = 32 + 512;
const DRAW: u64 = 12 * 4;
const DRAW_LONE: u64 = 20 * 4;

/// Uniform of one chunk's phases: `Fold` of fold.wgsl.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct FoldFrame {
    whole: u32,
    part: u32,
    shift: u32,
    rows: u32,
    first: u32,
    columns: u32,
    scale: f32,
    offset: f32,
}

/// Uniform of one image tile: `ImageFrame` of image.wgsl.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct ImageFrame {
    scale: [f32; 2],
    offset: [f32; 2],
    size: [f32; 2],
    lo: f32,
    range: f32,
    stretch: u32,
    nan: u32,
    pad: [u32; 2],
    lut: [[u8; 4]; 256],
}

/// Buffers that all draws share: they follow each other on the device.
#[derive(Default)]
struct Scratch {
    marks: Option<wgpu::Buffer>,
    rest: Option<wgpu::Buffer>,
    chosen: Option<wgpu::Buffer>,
    /// Targets of the marks by size: as many sizes as panes are drawn by turns.
    sums: Vec<([u32; 2], [wgpu::TextureView; 2])>,
}

/// Pipelines and scratch memory; one for the program.
pub struct Renderer {
    tier: Tier,
    /// Marks in view above which [`Density::Auto`] shows the field.
    budget: u32,
    composite_layout: wgpu::BindGroupLayout,
    composite: wgpu::RenderPipeline,
    image_layout: wgpu::BindGroupLayout,
    values: wgpu::RenderPipeline,
    picture: wgpu::RenderPipeline,
    full: Option<Full>,
    scratch: Scratch,
    cpu: cpu::Scratch,
}

impl std::fmt::Debug for Renderer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Renderer").field("tier", &self.tier).field("budget", &self.budget).finish_non_exhaustive()
    }
}

/// Whether a device was lost. wgpu says so to one callback alone, which is its owner's, and swallows the errors of whatever is made
/// afterwards, but not those of using what could not be made: the owner takes them by `Device::on_uncaptured_error`, since wgpu panics
/// without. Memory of a lost device cannot be written, which costs a buffer of 4 B to find out.
pub fn is_lost(device: &wgpu::Device) -> bool {
    let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("sign of life"),
        size: 4,
        usage: wgpu::BufferUsages::COPY_SRC,
        mapped_at_creation: true,
    });
    let lost = buffer.get_mapped_range(..).is_err();
    drop(pollster::block_on(scope.pop()));
    lost
}

impl Renderer {
    /// Makes all pipelines. `target` is the format of the pass that [`Renderer::composite`] draws into.
    ///
    /// # Errors
    /// [`Error::Lost`] on a device that was lost. [`Error::Refused`] if the driver refuses a shader. Limits that are too small for the scatter kernels are no error: the tier
    /// is then [`Tier::Reference`].
    pub fn new(device: &wgpu::Device, _queue: &wgpu::Queue, target: wgpu::TextureFormat) -> Result<Self, Error> {
        Self::with_tier(device, target, Tier::of(device))
    }

    /// The same with a tier of one's own: [`Tier::Reference`] works everywhere, [`Tier::Full`] where [`Tier::by_limits`] says so and
    /// only with points of that tier.
    ///
    /// # Errors
    /// As [`Renderer::new`].
    pub fn with_tier(device: &wgpu::Device, target: wgpu::TextureFormat, tier: Tier) -> Result<Self, Error> {
        if is_lost(device) {
            return Err(Error::Lost);
        }
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let composite_module = module(device, "composite.wgsl", include_str!("shaders/composite.wgsl"));
        let image_module = module(device, "image.wgsl", include_str!("shaders/image.wgsl"));
        let both = wgpu::ShaderStages::VERTEX_FRAGMENT;
        let composite_layout = layout(device, "composite", both, &[Slot::Uniform, Slot::Texture]);
        let image_layout = layout(device, "image", both, &[Slot::Uniform, Slot::Texture]);
        let composite = draw_pipeline(
            device,
            &Draw {
                label: "composite",
                layout: &composite_layout,
                module: &composite_module,
                vertex: "vs_full",
                fragment: if target.is_srgb() { "fs_linear" } else { "fs_gamma" },
                format: target,
                blend: Some(OVER),
            },
        );
        let image = |fragment: &str| {
            draw_pipeline(
                device,
                &Draw {
                    label: fragment,
                    layout: &image_layout,
                    module: &image_module,
                    vertex: "vs_full",
                    fragment,
                    format: FORMAT,
                    blend: Some(OVER),
                },
            )
        };
        let (values, picture) = (image("fs_values"), image("fs_picture"));
        if let Some(e) = pollster::block_on(scope.pop()) {
            return Err(Error::Refused { what: "the composite and image shaders".to_owned(), reason: e.to_string() });
        }
        let mut full = None;
        if tier == Tier::Full && Tier::by_limits(device) == Tier::Full {
            let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
            let made = Full::new(device);
            if let Some(e) = pollster::block_on(scope.pop()) {
                return Err(Error::Refused { what: "the scatter shaders".to_owned(), reason: e.to_string() });
            }
            full = Some(made);
        }
        let software = device.adapter_info().device_type == wgpu::DeviceType::Cpu;
        Ok(Self {
            tier: if full.is_some() { Tier::Full } else { Tier::Reference },
            budget: if software { 20_000 } else { 300_000 },
            composite_layout,
            composite,
            image_layout,
            values,
            picture,
            full,
            scratch: Scratch::default(),
            cpu: cpu::Scratch::default(),
        })
    }

    /// What is used of the device.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// Marks in view above which [`Density::Auto`] shows the field: 300,000, on software adapters 20,000.
    pub fn budget(&self) -> u32 {
        self.budget
    }

    /// Sets the budget. Canvases keep what they show until something else changes, too.
    pub fn set_budget(&mut self, marks: u32) {
        self.budget = marks.max(1);
    }

    /// Bytes of scratch memory on the GPU, and in ordinary memory where the processor draws.
    pub fn gpu_bytes(&self) -> u64 {
        let s = &self.scratch;
        let sums = s.sums.iter().map(|(px, _)| u64::from(px[0]) * u64::from(px[1]) * 32).sum::<u64>();
        [&s.marks, &s.rest, &s.chosen].into_iter().flatten().map(wgpu::Buffer::size).sum::<u64>() + sums + self.cpu.bytes()
    }

    /// Does on the device what [`Points::set_fold`] asked for: before the draw that shows it. Costs nothing where nothing was asked.
    pub fn fold(&self, device: &wgpu::Device, encoder: &mut wgpu::CommandEncoder, points: &mut Points) {
        let (scale, offset) = fold_frame(points.origin[0], points.unit[0]);
        let (second, chunks) = (points.is_second, &points.chunks);
        let (Some(full), Some(folding)) = (&self.full, points.folding.as_mut().filter(|f| f.pending)) else { return };
        let Some(fold) = folding.fold else { return };
        folding.pending = false;
        let groups_of: Vec<_> = chunks
            .iter()
            .zip(&folding.shares)
            .map(|(chunk, shares)| {
                let (x, y) = groups(chunk.rows);
                let first = if second { chunk.rows as u32 } else { 0 };
                let rows = chunk.rows as u32;
                let Fold { whole, part, shift } = fold;
                let frame = FoldFrame { whole, part, shift, rows, first, columns: x * 256, scale, offset };
                let uniform = uniform(device, &frame);
                let parts = [uniform.as_entire_binding(), shares.as_entire_binding(), chunk.positions()];
                (bind(device, &full.fold_layout, &parts), x, y)
            })
            .collect();
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some("fold"), timestamp_writes: None });
        pass.set_pipeline(&full.fold);
        for (group, x, y) in &groups_of {
            pass.set_bind_group(0, group, &[]);
            pass.dispatch_workgroups(*x, *y, 1);
        }
    }

    /// Draws `points` into `canvas`, if anything differs from what the canvas shows. `hover` is a row that is drawn on top with a
    /// ring. Nothing is read back and nothing waits; a view without size or range leaves the canvas as it is.
    #[expect(clippy::too_many_arguments, reason = "a device, a queue and an encoder go with every draw of wgpu")]
    pub fn draw_points(
        &mut self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        encoder: &mut wgpu::CommandEncoder,
        canvas: &mut Canvas,
        points: &Points,
        view: &View,
        style: &Style,
        hover: Option<u32>,
    ) {
        let Some(view) = fitting(device, view) else { return };
        canvas.ensure(device, queue, view.px);
        let hover = hover.filter(|&h| (h as usize) < points.len());
        let key = Key::points(points, &view, style);
        let stale = canvas.key.as_ref() != Some(&key);
        if !stale && canvas.hover == hover {
            return;
        }
        if self.full.is_some() && points.kept.is_none() {
            if stale {
                self.points_on_gpu(device, encoder, canvas, points, &view, style);
            }
            if let Some(row) = hover {
                self.hover_on_gpu(device, encoder, canvas, points, &view, style, row);
            }
        } else if let Some(kept) = &points.kept {
            let columns = kept_columns(points, kept);
            if stale {
                cpu::draw(&mut self.cpu, &mut canvas.picture, &view, style, &columns, self.budget);
                canvas.upload_picture(queue);
            }
            if let Some(row) = hover {
                canvas.ensure_over(device);
                canvas.upload_ring(queue, &view, style, &columns, row);
            }
        }
        canvas.drawn += u64::from(stale);
        canvas.key = Some(key);
        canvas.hover = hover;
        self.bind_canvas(device, canvas);
    }

    /// Draws an image into `canvas`, if anything differs from what the canvas shows. `view` is in pixels of the image: pixel `k`
    /// covers `k..k + 1`, and `y = [0, height]` puts row 0 at the bottom.
    #[expect(clippy::too_many_arguments, reason = "a device, a queue and an encoder go with every draw of wgpu")]
    pub fn draw_image(
        &mut self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        encoder: &mut wgpu::CommandEncoder,
        canvas: &mut Canvas,
        image: &ImageTexture,
        view: &View,
        look: &ImageLook,
    ) {
        let Some(view) = fitting(device, view) else { return };
        canvas.ensure(device, queue, view.px);
        let look = look.sane();
        let key = Key::Image { id: image.id, view, look: Box::new(look) };
        if canvas.key.as_ref() == Some(&key) {
            return;
        }
        let Some(base) = &canvas.base else { return };
        let b = look.background.map(|c| f64::from(c) / 255.0);
        let clear = wgpu::Color { r: b[0] * b[3], g: b[1] * b[3], b: b[2] * b[3], a: b[3] };
        let mut pass = target_pass(encoder, "image", &base.view, wgpu::LoadOp::Clear(clear), view.px);
        pass.set_pipeline(if image.is_picture { &self.picture } else { &self.values });
        for tile in &image.tiles {
            let level = level_for(view.data_per_px(), tile.levels.len());
            let (texture, texels) = &tile.levels[level];
            let m = image_map(&view, tile.at, level);
            let ends = [m.offset, [m.offset[0] + m.scale[0] * view.px[0] as f32, m.offset[1] + m.scale[1] * view.px[1] as f32]];
            if (0..2).any(|i| ends[0][i].max(ends[1][i]) < 0.0 || ends[0][i].min(ends[1][i]) > texels[i] as f32) {
                continue;
            }
            let frame = ImageFrame {
                scale: m.scale,
                offset: m.offset,
                // The last texel of a level may reach beyond the image; the image's own edge counts.
                size: [tile.size[0] as f32 / (1u32 << level) as f32, tile.size[1] as f32 / (1u32 << level) as f32],
                lo: look.lo,
                range: look.range(),
                stretch: look.stretch.code(),
                nan: u32::from_le_bytes(look.nan),
                pad: [0; 2],
                lut: look.lut,
            };
            let uniform = uniform(device, &frame);
            let group = bind(device, &self.image_layout, &[uniform.as_entire_binding(), view_of(texture)]);
            pass.set_bind_group(0, &group, &[]);
            pass.draw(0..3, 0..1);
        }
        drop(pass);
        canvas.drawn += 1;
        canvas.key = Some(key);
        canvas.hover = None;
        self.bind_canvas(device, canvas);
    }

    /// Lays the canvas onto the current viewport of a pass whose target has the format given to [`Renderer::new`]: one triangle.
    /// Does nothing before the first draw.
    pub fn composite(&self, pass: &mut wgpu::RenderPass<'_>, canvas: &Canvas) {
        if let Some(group) = canvas.shown().and_then(|l| l.bind.as_ref()) {
            pass.set_pipeline(&self.composite);
            pass.set_bind_group(0, group, &[]);
            pass.draw(0..3, 0..1);
        }
    }

    fn bind_canvas(&self, device: &wgpu::Device, canvas: &mut Canvas) {
        let uniform = canvas.uniform.as_entire_binding();
        for layer in [&mut canvas.base, &mut canvas.over].into_iter().flatten() {
            if layer.bind.is_none() {
                layer.bind = Some(bind(device, &self.composite_layout, &[uniform.clone(), view_of(&layer.view)]));
            }
        }
    }

    fn points_on_gpu(
        &mut self,
        device: &wgpu::Device,
        encoder: &mut wgpu::CommandEncoder,
        canvas: &Canvas,
        points: &Points,
        view: &View,
        style: &Style,
    ) {
        let (Some(full), Some(base)) = (&self.full, &canvas.base) else { return };
        let plan = Plan::new(device, points.len(), points.any_selected, view, style, self.budget);
        let scratch = &mut self.scratch;
        let marks = grown(device, &mut scratch.marks, "marks", (u64::from(plan.capacity) + u64::from(plan.lone)) * 32);
        let cell_bytes = u64::from(plan.cells) * 16;
        let rest = grown(device, &mut scratch.rest, "field", cell_bytes.max(16));
        let chosen = grown(device, &mut scratch.chosen, "field of the selection", if plan.any { cell_bytes.max(16) } else { 16 });
        if scratch.sums.iter().all(|(px, _)| *px != canvas.allocated) {
            let make = || {
                device
                    .create_texture(&wgpu::TextureDescriptor {
                        label: Some("sums of marks"),
                        size: wgpu::Extent3d {
                            width: canvas.allocated[0],
                            height: canvas.allocated[1],
                            depth_or_array_layers: 1,
                        },
                        mip_level_count: 1,
                        sample_count: 1,
                        dimension: wgpu::TextureDimension::D2,
                        format: full.sums,
                        usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::TEXTURE_BINDING,
                        view_formats: &[],
                    })
                    .create_view(&wgpu::TextureViewDescriptor::default())
            };
            if scratch.sums.len() >= SIZES {
                scratch.sums.remove(0);
            }
            scratch.sums.push((canvas.allocated, [make(), make()]));
        }
        let Some((_, sums)) = scratch.sums.iter().find(|(px, _)| *px == canvas.allocated) else { return };

        // One uniform and one bind group a chunk; the first also serves the kernels that see no rows.
        let none = Chunk { rows: 0, xy: full.dummy.clone(), lent: None, rgba: None, sizes: None, bits: None };
        let chunks: Vec<&Chunk> = if points.chunks.is_empty() { vec![&none] } else { points.chunks.iter().collect() };
        let made: Vec<_> = chunks
            .iter()
            .map(|chunk| {
                let uniform = uniform(device, &frame(points, chunk.rows, view, style, &plan, 0));
                let or = |b: &Option<wgpu::Buffer>| b.clone().unwrap_or_else(|| full.dummy.clone());
                let group = bind(
                    device,
                    &full.field_layout,
                    &[
                        uniform.as_entire_binding(),
                        chunk.positions(),
                        or(&chunk.rgba).as_entire_binding(),
                        or(&chunk.sizes).as_entire_binding(),
                        or(&chunk.bits).as_entire_binding(),
                        full.state.as_entire_binding(),
                        marks.as_entire_binding(),
                        rest.as_entire_binding(),
                        chosen.as_entire_binding(),
                    ],
                );
                (uniform, group, chunk.rows)
            })
            .collect();

        encoder.clear_buffer(&full.state, 0, None);
        if plan.cells > 0 {
            encoder.clear_buffer(&rest, 0, Some(cell_bytes));
            if plan.any {
                encoder.clear_buffer(&chosen, 0, Some(cell_bytes));
            }
        }
        {
            let mut pass =
                encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some("scatter"), timestamp_writes: None });
            pass.set_pipeline(&full.gather);
            for (_, group, rows) in &made {
                let (x, y) = groups(*rows);
                pass.set_bind_group(0, group, &[]);
                pass.dispatch_workgroups(x, y, 1);
            }
            pass.set_bind_group(0, &made[0].1, &[]);
            pass.set_pipeline(&full.decide);
            pass.dispatch_workgroups(1, 1, 1);
            if plan.cells > 0 {
                pass.set_pipeline(&full.splat);
                for (_, group, rows) in &made {
                    let (x, y) = groups(*rows);
                    pass.set_bind_group(0, group, &[]);
                    pass.dispatch_workgroups(x, y, 1);
                }
                pass.set_bind_group(0, &made[0].1, &[]);
                pass.set_pipeline(&full.histogram);
                let (x, y) = groups((plan.cells as usize).div_ceil(16));
                pass.dispatch_workgroups(x, y, 1);
                pass.set_pipeline(&full.white);
                pass.dispatch_workgroups(1, 1, 1);
            }
        }
        let uniform = &made[0].0;
        let group = bind(
            device,
            &full.marks_layout,
            &[uniform.as_entire_binding(), full.state.as_entire_binding(), marks.as_entire_binding()],
        );
        for (k, target) in sums.iter().enumerate().take(if plan.any { 2 } else { 1 }) {
            let clear = wgpu::LoadOp::Clear(wgpu::Color::TRANSPARENT);
            let mut pass = target_pass(encoder, "marks", target, clear, view.px);
            pass.set_bind_group(0, &group, &[]);
            if plan.marks {
                pass.set_pipeline(&full.marks[k]);
                pass.draw_indirect(&full.state, DRAW + k as u64 * 16);
            }
            if plan.cells > 0 {
                pass.set_pipeline(&full.lone[k]);
                pass.draw_indirect(&full.state, DRAW_LONE + k as u64 * 16);
            }
        }
        let group = bind(
            device,
            &full.resolve_layout,
            &[
                uniform.as_entire_binding(),
                full.state.as_entire_binding(),
                rest.as_entire_binding(),
                chosen.as_entire_binding(),
                view_of(&sums[0]),
                view_of(&sums[1]),
            ],
        );
        let clear = wgpu::LoadOp::Clear(wgpu::Color::TRANSPARENT);
        let mut pass = target_pass(encoder, "resolve", &base.view, clear, view.px);
        pass.set_pipeline(&full.resolve);
        pass.set_bind_group(0, &group, &[]);
        pass.draw(0..3, 0..1);
    }

    #[expect(clippy::too_many_arguments, reason = "as draw_points")]
    fn hover_on_gpu(
        &self,
        device: &wgpu::Device,
        encoder: &mut wgpu::CommandEncoder,
        canvas: &mut Canvas,
        points: &Points,
        view: &View,
        style: &Style,
        row: u32,
    ) {
        canvas.ensure_over(device);
        let (Some(full), Some(base), Some(over)) = (&self.full, &canvas.base, &canvas.over) else { return };
        encoder.copy_texture_to_texture(
            base.texture.as_image_copy(),
            over.texture.as_image_copy(),
            wgpu::Extent3d { width: view.px[0], height: view.px[1], depth_or_array_layers: 1 },
        );
        let Some(chunk) = points.chunks.get(row as usize / CHUNK) else { return };
        let plan = Plan::new(device, points.len(), points.any_selected, view, style, self.budget);
        let uniform = uniform(device, &frame(points, chunk.rows, view, style, &plan, row % CHUNK as u32));
        let group = bind(
            device,
            &full.hover_layout,
            &[
                uniform.as_entire_binding(),
                chunk.positions(),
                chunk.rgba.as_ref().unwrap_or(&full.dummy).as_entire_binding(),
                chunk.sizes.as_ref().unwrap_or(&full.dummy).as_entire_binding(),
            ],
        );
        let mut pass = target_pass(encoder, "hover", &over.view, wgpu::LoadOp::Load, view.px);
        pass.set_pipeline(&full.hover);
        pass.set_bind_group(0, &group, &[]);
        pass.draw(0..6, 0..1);
    }

    /// Cells of the last field that was drawn, `[count, red, green, blue]` each, rest then selection: what the tests hold against
    /// [`reference::density`].
    ///
    /// # Errors
    /// [`Error::ReadBack`].
    #[doc(hidden)]
    pub fn read_field(&self, device: &wgpu::Device, queue: &wgpu::Queue, cells: usize) -> Result<[Vec<[u32; 4]>; 2], Error> {
        let read = |b: &Option<wgpu::Buffer>| -> Result<Vec<[u32; 4]>, Error> {
            let Some(b) = b.as_ref().filter(|b| b.size() >= cells as u64 * 16) else { return Ok(Vec::new()) };
            let staging = device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("read field"),
                size: cells as u64 * 16,
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            encoder.copy_buffer_to_buffer(b, 0, &staging, 0, cells as u64 * 16);
            queue.submit([encoder.finish()]);
            Ok(bytemuck::pod_collect_to_vec(&crate::canvas::read_staging(device, &staging)?))
        };
        Ok([read(&self.scratch.rest)?, read(&self.scratch.chosen)?])
    }
}

/// Sizes of one draw.
struct Plan {
    any: bool,
    marks: bool,
    capacity: u32,
    lone: u32,
    shift: u32,
    columns: u32,
    cells: u32,
    budget: u32,
}

impl Plan {
    fn new(device: &wgpu::Device, rows: usize, any: bool, view: &View, style: &Style, budget: u32) -> Self {
        let limit = device.limits().max_storage_buffer_binding_size.min(device.limits().max_buffer_size);
        let rows = rows.min(u32::MAX as usize) as u32;
        let wanted = match style.density {
            Density::Always => 1,
            Density::Auto => rows.min(budget),
            Density::Never => rows,
        };
        // Two layers of 16 B a mark.
        let capacity = wanted.clamp(1, ((limit / 64) as u32).min(1 << 22));
        let field = reference::wants_field(rows, capacity, view, style, budget);
        let mut shift = 0;
        let size = |s: u32| (view.px[0].div_ceil(1 << s), view.px[1].div_ceil(1 << s));
        while field && u64::from(size(shift).0) * u64::from(size(shift).1) * 16 > limit {
            shift += 1;
        }
        let (columns, lines) = size(shift);
        Self {
            any,
            marks: style.density != Density::Always,
            capacity,
            lone: reference::lone_capacity(budget),
            shift,
            columns,
            cells: if field { columns * lines } else { 0 },
            budget,
        }
    }
}

fn frame(points: &Points, rows: usize, view: &View, style: &Style, plan: &Plan, row: u32) -> Frame {
    let a = Affine::new(view, points.origin, points.unit);
    let flag = |on: bool, bit: u32| if on { bit } else { 0 };
    Frame {
        centre: a.centre,
        scale: a.scale,
        offset: a.offset,
        size: [view.px[0] as f32, view.px[1] as f32],
        radius: reference::radius(style),
        opacity: style.opacity.max(0.0),
        budget: plan.budget as f32,
        density: match style.density {
            Density::Auto => 0,
            Density::Never => 1,
            Density::Always => 2,
        },
        rows: rows as u32,
        words: words(rows) as u32,
        capacity: plan.capacity,
        flags: flag(plan.any, ANY_SELECTED)
            | flag(style.hide_rest, HIDE_REST)
            | flag(points.has_colours, HAS_COLOURS)
            | flag(points.has_sizes, HAS_SIZES)
            | flag(points.has_hidden, HAS_HIDDEN)
            | flag(points.glide.is_some(), GLIDES),
        shift: plan.shift,
        columns: plan.columns,
        cells: plan.cells,
        context: u32::from_le_bytes(style.context),
        plain: u32::from_le_bytes(PLAIN),
        background: u32::from_le_bytes(style.background),
        row,
        lone: plan.lone,
        glide: points.glide.unwrap_or(0.0),
        first: if points.is_second { rows as u32 } else { 0 },
        second: if points.is_second { 0 } else { rows as u32 },
        tone: match style.tone {
            Tone::Log => 0,
            Tone::Equalised => 1,
        },
    }
}

/// A buffer of at least `bytes`, kept between draws.
fn grown(device: &wgpu::Device, slot: &mut Option<wgpu::Buffer>, label: &str, bytes: u64) -> wgpu::Buffer {
    match slot {
        Some(b) if b.size() >= bytes => b.clone(),
        _ => slot.insert(storage(device, label, bytes)).clone(),
    }
}

fn kept_columns<'a>(points: &Points, kept: &'a Kept) -> reference::Columns<'a> {
    reference::Columns {
        xy: &kept.xy,
        origin: points.origin,
        unit: points.unit,
        rgba: points.has_colours.then_some(&kept.rgba),
        sizes: points.has_sizes.then_some(&kept.sizes),
        selection: points.any_selected.then_some(&kept.selection),
        hidden: points.has_hidden.then_some(&kept.hidden),
        to: points.glide.and(kept.to.as_ref().map(|to| to.as_slice())),
        glide: points.glide.unwrap_or(0.0),
    }
}

/// The view within the device's largest texture, if there is anything to draw.
fn fitting(device: &wgpu::Device, view: &View) -> Option<View> {
    let limit = device.limits().max_texture_dimension_2d;
    let view = View { px: [view.px[0].min(limit), view.px[1].min(limit)], ..*view };
    view.is_drawable().then_some(view)
}

/// Texels of a level, relative to a tile, of a pixel of the view: `px * scale + offset`.
pub(crate) struct ImageMap {
    pub scale: [f32; 2],
    pub offset: [f32; 2],
}

pub(crate) fn image_map(view: &View, tile: [u32; 2], level: usize) -> ImageMap {
    let per = f64::from(1u32 << level);
    let sx = (view.x[1] - view.x[0]) / f64::from(view.px[0]);
    let sy = (view.y[0] - view.y[1]) / f64::from(view.px[1]);
    ImageMap {
        scale: [(sx / per) as f32, (sy / per) as f32],
        offset: [((view.x[0] - f64::from(tile[0])) / per) as f32, ((view.y[1] - f64::from(tile[1])) / per) as f32],
    }
}
