//! Kernels against their scalar twins, on whatever adapter there is (Mesa's software one in CI).

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use asterism_render::{
    Canvas, Density, ImageLook, ImageTexture, Points, Renderer, Stretch, Style, Tier, Times, Tone, View, canvas, colour,
    headless,
    image::Pyramid,
    read_back,
    reference::{self, Columns},
    wgpu,
};

struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
    renderer: Renderer,
}

impl Gpu {
    /// Points for the device's kernels, where it has them: software adapters would otherwise leave them to our own threads.
    fn points(&self, xy: &[[f32; 2]]) -> Points {
        self.points_in(xy, [0.0; 2])
    }

    fn points_in(&self, xy: &[[f32; 2]], origin: [f64; 2]) -> Points {
        Points::with_tier(&self.device, &self.queue, xy, origin, [1.0; 2], Tier::by_limits(&self.device))
    }
}

/// None if there is no adapter and none is demanded.
fn gpu() -> Option<Gpu> {
    match headless::device() {
        Ok((device, queue, info)) => {
            eprintln!("adapter: {} ({:?}, {:?})", info.name, info.backend, info.device_type);
            let tier = Tier::by_limits(&device);
            let renderer = Renderer::with_tier(&device, wgpu::TextureFormat::Rgba8Unorm, tier).unwrap();
            Some(Gpu { device, queue, renderer })
        }
        Err(e) => {
            assert!(std::env::var("ASTERISM_GPU").as_deref() != Ok("required"), "{e}");
            eprintln!("skipped: {e}");
            None
        }
    }
}

/// Small generator, so that no crate decides what the tests see.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.next().max(1e-300).ln()).sqrt() * (std::f64::consts::TAU * self.next()).cos()
    }
}

/// Three clumps, one in fifty not a number.
fn clumps(n: usize, seed: u64) -> Vec<[f32; 2]> {
    let mut rng = Rng(seed);
    (0..n)
        .map(|i| {
            let c = [[0.0, 0.0], [3.0, 1.0], [-2.0, 2.5]][i % 3];
            let s = [1.0, 0.2, 0.5][i % 3];
            let p = [(c[0] + s * rng.normal()) as f32, (c[1] + s * rng.normal()) as f32];
            if i % 50 == 49 { [f32::NAN, p[1]] } else { p }
        })
        .collect()
}

fn bitmap(n: usize, f: impl Fn(usize) -> bool) -> Vec<u64> {
    let mut words = vec![0; n.div_ceil(64)];
    (0..n).filter(|&i| f(i)).for_each(|i| words[i / 64] |= 1 << (i % 64));
    words
}

impl Gpu {
    fn draw(&mut self, canvas: &mut Canvas, points: &Points, view: &View, style: &Style, hover: Option<u32>) -> Vec<u8> {
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        self.renderer.draw_points(&self.device, &self.queue, &mut encoder, canvas, points, view, style, hover);
        self.queue.submit([encoder.finish()]);
        read_back(&self.device, &self.queue, canvas)
    }
}

/// Share of bytes that differ by more than `step`, and the largest difference.
fn difference(a: &[u8], b: &[u8], step: u8) -> (f64, u8) {
    assert_eq!(a.len(), b.len());
    let worst = a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
    let n = a.iter().zip(b).filter(|(a, b)| a.abs_diff(**b) > step).count();
    (n as f64 / a.len() as f64, worst)
}

const VIEW: View = View { x: [-4.0, 4.5], y: [-3.0, 4.0], px: [403, 301] };
const GROUND: [u8; 4] = [20, 22, 26, 255];

#[test]
fn marks_agree_with_the_twin() {
    let Some(mut gpu) = gpu() else { return };
    let xy = clumps(3000, 7);
    let colours: Vec<u32> = (0..xy.len())
        .map(|i| {
            let [r, g, b] = colour::categorical(i % 3);
            colour::pack([r, g, b, if i % 11 == 0 { 0 } else { 255 }])
        })
        .collect();
    let sizes: Vec<f32> = (0..xy.len()).map(|i| 0.5 + (i % 7) as f32 * 0.4).collect();
    let selection = bitmap(xy.len(), |i| i % 3 == 1);
    let hidden = bitmap(xy.len(), |i| i % 13 == 0);
    let mut points = gpu.points(&xy);
    let mut canvas = Canvas::new(&gpu.device);
    let mut columns = Columns::new(&xy);
    let style = Style { radius_px: 3.0, background: GROUND, ..Style::default() };
    // Sums in half floats, where full ones cannot be blended, are coarser.
    let step = if gpu.device.features().contains(wgpu::Features::FLOAT32_BLENDABLE) { 2 } else { 8 };
    let check = |got: &[u8], want: &[u8], what: &str| {
        let (share, worst) = difference(got, want, step);
        assert!(share < 2e-4, "{what}: {share} of the bytes differ, worst by {worst}");
        assert!(want.chunks(4).any(|c| c != GROUND), "{what}: nothing was drawn");
    };
    let budget = gpu.renderer.budget();

    let got = gpu.draw(&mut canvas, &points, &VIEW, &style, None);
    check(&got, &reference::points(&VIEW, &style, &columns, budget), "plain");

    points.set_colours(&gpu.queue, &colours);
    points.set_sizes(&gpu.device, &gpu.queue, Some(&sizes));
    (columns.rgba, columns.sizes) = (Some(&colours), Some(&sizes));
    let got = gpu.draw(&mut canvas, &points, &VIEW, &style, None);
    check(&got, &reference::points(&VIEW, &style, &columns, budget), "colours and sizes");

    points.set_selection(&gpu.queue, &selection, true);
    points.set_hidden(&gpu.queue, Some(&hidden));
    (columns.selection, columns.hidden) = (Some(&selection), Some(&hidden));
    for style in [style, Style { hide_rest: true, opacity: 0.4, ..style }] {
        let got = gpu.draw(&mut canvas, &points, &VIEW, &style, None);
        check(&got, &reference::points(&VIEW, &style, &columns, budget), "selection");
    }

    let mut want = reference::points(&VIEW, &style, &columns, budget);
    reference::hover_ring(&mut want, &VIEW, &style, &columns, 5);
    let got = gpu.draw(&mut canvas, &points, &VIEW, &style, Some(5));
    check(&got, &want, "hover");
    let [x, y] = VIEW.px_from_data(xy[5].map(f64::from)).map(|v| v as usize);
    assert!((0..300).all(|x| got[(y * 403 + x) * 4 + 3] == 255) && x < 403);

    // A flipped axis, far from the origin of the stored numbers.
    let view = View { x: [1004.5, 996.0], y: [-3.0, 4.0], px: [300, 200] };
    let mut far = gpu.points_in(&xy, [1000.0, 0.0]);
    far.set_colours(&gpu.queue, &colours);
    let columns = Columns { origin: [1000.0, 0.0], rgba: Some(&colours), ..Columns::new(&xy) };
    let got = gpu.draw(&mut canvas, &far, &view, &style, None);
    check(&got, &reference::points(&view, &style, &columns, budget), "flipped");
}

#[test]
fn nothing_is_drawn_twice() {
    let Some(mut gpu) = gpu() else { return };
    let xy = clumps(500, 3);
    let mut points = gpu.points(&xy);
    let mut canvas = Canvas::new(&gpu.device);
    let style = Style { background: GROUND, ..Style::default() };
    let first = gpu.draw(&mut canvas, &points, &VIEW, &style, None);
    assert_eq!(canvas.draws(), 1);
    gpu.draw(&mut canvas, &points, &VIEW, &style, None);
    let hovered = gpu.draw(&mut canvas, &points, &VIEW, &style, Some(3));
    assert_eq!(canvas.draws(), 1, "the pointer must not redraw the points");
    assert_ne!(first, hovered);
    assert_eq!(gpu.draw(&mut canvas, &points, &VIEW, &style, None), first);
    // Every change draws again.
    points.set_positions(&gpu.device, &gpu.queue, &clumps(500, 4));
    assert_ne!(gpu.draw(&mut canvas, &points, &VIEW, &style, None), first);
    assert_eq!(canvas.draws(), 2);
    gpu.draw(&mut canvas, &points, &View { px: [402, 301], ..VIEW }, &style, None);
    assert_eq!((canvas.draws(), canvas.size()), (3, [402, 301]));
    // Views without extent, rows that do not exist, and empty scatters are no reason to fall over.
    gpu.draw(&mut canvas, &points, &View { px: [0, 10], ..VIEW }, &style, Some(9999));
    gpu.draw(&mut canvas, &points, &View { x: [f64::NAN, 1.0], ..VIEW }, &style, None);
    let none = gpu.points(&[]);
    let empty = gpu.draw(&mut canvas, &none, &VIEW, &style, Some(0));
    assert!(empty.chunks(4).all(|c| c == GROUND));
}

#[test]
fn field_counts_are_exactly_those_of_the_twin() {
    let Some(mut gpu) = gpu() else { return };
    if gpu.renderer.tier() != Tier::Full {
        eprintln!("skipped: this adapter has no compute shaders");
        return;
    }
    let n = 200_000;
    let xy = clumps(n, 11);
    let colours: Vec<u32> = (0..n).map(|i| colour::pack(colour::sample(colour::Lut::Viridis, i as f64 / n as f64))).collect();
    let selection = bitmap(n, |i| i % 17 < 3);
    let mut points = gpu.points(&xy);
    points.set_colours(&gpu.queue, &colours);
    let mut canvas = Canvas::new(&gpu.device);
    let style = Style { density: Density::Always, background: GROUND, ..Style::default() };
    for selected in [false, true] {
        points.set_selection(&gpu.queue, &selection, selected);
        let columns = Columns { rgba: Some(&colours), selection: selected.then_some(&selection), ..Columns::new(&xy) };
        for view in [VIEW, View { x: [2.9, 3.3], y: [0.9, 1.0], px: [256, 333] }] {
            let got = gpu.draw(&mut canvas, &points, &view, &style, None);
            let cells = (view.px[0] * view.px[1]) as usize;
            let field = gpu.renderer.read_field(&gpu.device, &gpu.queue, cells).unwrap();
            let want = reference::density(&view, &style, &columns);
            assert!(field[0] == want[0], "counts of the rest differ in {view:?}, selected {selected}");
            if selected {
                assert!(field[1] == want[1], "counts of the selection differ");
            }
            let (share, worst) = difference(&got, &reference::points(&view, &style, &columns, gpu.renderer.budget()), 2);
            assert!(share < 1e-4, "tone: {share}, worst {worst}");
        }
    }
    // Automatic: above the budget the field takes over, with the selection's plane on top; half way both share.
    let columns = Columns { rgba: Some(&colours), selection: Some(&selection), ..Columns::new(&xy) };
    for (budget, radius) in [(20_000, 2.0), (250_000, 0.6)] {
        gpu.renderer.set_budget(budget);
        canvas.invalidate();
        let style = Style { background: GROUND, radius_px: radius, ..Style::default() };
        let got = gpu.draw(&mut canvas, &points, &VIEW, &style, None);
        let (share, worst) = difference(&got, &reference::points(&VIEW, &style, &columns, budget), 3);
        assert!(share < 1e-3, "automatic, budget {budget}: {share}, worst {worst}");
    }
}

#[test]
fn devices_without_compute_shaders_get_the_same_picture() {
    let Some(mut full) = gpu() else { return };
    // The adapter again, opened with what a WebGL-class driver has.
    let backends = wgpu::Backends::from_env().unwrap_or(wgpu::Backends::all());
    let instance =
        wgpu::Instance::new(wgpu::InstanceDescriptor { backends, ..wgpu::InstanceDescriptor::new_without_display_handle() });
    let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default())).unwrap();
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
        required_limits: wgpu::Limits::downlevel_webgl2_defaults(),
        ..Default::default()
    }))
    .unwrap();
    let renderer = Renderer::new(&device, &queue, wgpu::TextureFormat::Bgra8Unorm).unwrap();
    let mut poor = Gpu { device, queue, renderer };
    assert_eq!(poor.renderer.tier(), Tier::Reference);
    poor.renderer.set_budget(full.renderer.budget());

    let n = 30_000;
    let xy = clumps(n, 21);
    let colours: Vec<u32> = (0..n).map(|i| colour::pack(colour::sample(colour::Lut::Magma, i as f64 / n as f64))).collect();
    let selection = bitmap(n, |i| i % 5 == 0);
    let hidden = bitmap(n, |i| i % 7 == 0);
    let style = Style { background: GROUND, ..Style::default() };
    let mut pictures = Vec::new();
    for gpu in [&mut full, &mut poor] {
        let mut points = gpu.points(&xy);
        let mut canvas = Canvas::new(&gpu.device);
        let plain = gpu.draw(&mut canvas, &points, &VIEW, &style, None);
        points.set_colours(&gpu.queue, &colours);
        points.set_sizes(&gpu.device, &gpu.queue, Some(&[2.0; 100]));
        points.set_selection(&gpu.queue, &selection, true);
        points.set_hidden(&gpu.queue, Some(&hidden));
        let all = gpu.draw(&mut canvas, &points, &VIEW, &style, None);
        let hover = gpu.draw(&mut canvas, &points, &VIEW, &style, Some(5));
        assert_ne!(all, hover);
        pictures.push([plain, all, hover]);
    }
    for (a, b) in pictures[0].iter().zip(&pictures[1]) {
        let (share, worst) = difference(a, b, 3);
        assert!(share < 1e-3, "{share}, worst {worst}");
    }

    // An image beyond its largest texture lies in tiles.
    let (w, h) = (2 * poor.device.limits().max_texture_dimension_2d + 100, 60);
    let data: Vec<f32> = (0..w * h).map(|i| ((i % w) as f32 * 0.01).sin() + (i / w) as f32 * 0.01).collect();
    let image = ImageTexture::new(&poor.device, &poor.queue, &data, w, h).unwrap();
    let pyramid = Pyramid::values(&data, w, h).unwrap();
    let look = ImageLook { lo: -1.0, hi: 1.6, background: GROUND, ..ImageLook::default() };
    let mut canvas = Canvas::new(&poor.device);
    for (x, px) in [([0.0, f64::from(w)], [500, 40]), ([2000.0, 2100.0], [300, 200]), ([4050.5, 4130.5], [160, 50])] {
        let view = View { x, y: [0.0, 60.0], px };
        let mut encoder = poor.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        poor.renderer.draw_image(&poor.device, &poor.queue, &mut encoder, &mut canvas, &image, &view, &look);
        poor.queue.submit([encoder.finish()]);
        let got = read_back(&poor.device, &poor.queue, &canvas);
        let (share, worst) = difference(&got, &reference::image(&view, &look, &pyramid), 4);
        // One column of pixels may lie across an edge.
        assert!(share < 0.005, "tiles, {x:?}: {share}, worst {worst}");
    }
    let nothing = ImageLook { lo: f32::NAN, hi: f32::NAN, ..look };
    let before = canvas.draws();
    for _ in 0..2 {
        let view = View { x: [0.0, 10.0], y: [0.0, 10.0], px: [10, 10] };
        let mut encoder = poor.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        poor.renderer.draw_image(&poor.device, &poor.queue, &mut encoder, &mut canvas, &image, &view, &nothing);
        poor.queue.submit([encoder.finish()]);
    }
    assert_eq!(canvas.draws(), before + 1);
}

#[test]
fn chunks_beyond_the_first_are_drawn() {
    let Some(mut gpu) = gpu() else { return };
    // All of the first chunk lies outside the view; rows of the second have the bits and colours.
    let chunk = asterism_render::points::CHUNK;
    let n = chunk + 1000;
    let xy: Vec<[f32; 2]> = (0..n).map(|i| if i < chunk { [99.0, 99.0] } else { [(i - chunk) as f32 / 1000.0, 0.5] }).collect();
    let selection = bitmap(n, |i| i >= chunk + 500);
    let red = colour::pack([255, 0, 0, 255]);
    let mut points = gpu.points(&xy);
    points.set_colours(&gpu.queue, &vec![red; n]);
    points.set_selection(&gpu.queue, &selection, true);
    let view = View { x: [0.0, 1.0], y: [0.0, 1.0], px: [128, 64] };
    let style = Style { background: GROUND, opacity: 1.0, ..Style::default() };
    let mut canvas = Canvas::new(&gpu.device);
    let got = gpu.draw(&mut canvas, &points, &view, &style, None);
    let at = |x: usize| &got[(32 * 128 + x) * 4..][..3];
    assert!(at(100)[0] > 250 && at(100)[1] < 5, "{:?}", at(100));
    assert!(at(20).iter().all(|&c| c.abs_diff(128) < 3), "{:?}", at(20));
}

#[test]
fn images_agree_with_the_twin() {
    let Some(mut gpu) = gpu() else { return };
    let (w, h) = (301u32, 257u32);
    let mut rng = Rng(5);
    let data: Vec<f32> = (0..w * h)
        .map(|i| {
            let (x, y) = (f64::from(i % w) - 150.0, f64::from(i / w) - 100.0);
            let v = 1000.0 * (-(x * x + y * y) / 800.0).exp() + 10.0 * rng.next();
            if i % 97 == 0 { f32::NAN } else { v as f32 }
        })
        .collect();
    let image = ImageTexture::new(&gpu.device, &gpu.queue, &data, w, h).unwrap();
    let pyramid = Pyramid::values(&data, w, h).unwrap();
    let mut canvas = Canvas::new(&gpu.device);
    let nan = [255, 0, 255, 255];
    let mut draw = |image: &ImageTexture, view: &View, look: &ImageLook| {
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        gpu.renderer.draw_image(&gpu.device, &gpu.queue, &mut encoder, &mut canvas, image, view, look);
        gpu.queue.submit([encoder.finish()]);
        read_back(&gpu.device, &gpu.queue, &canvas)
    };
    for view in [
        View { x: [0.0, 301.0], y: [0.0, 257.0], px: [301, 257] }, // one to one
        View { x: [-20.0, 321.0], y: [277.0, -20.0], px: [120, 90] }, // shrunk, first row on top
        View { x: [100.0, 140.0], y: [80.0, 120.0], px: [400, 400] }, // magnified
        View { x: [0.0, 301.0], y: [0.0, 257.0], px: [19, 40] },   // level 2 and up, axes unlike
    ] {
        for stretch in Stretch::ALL {
            let look = ImageLook { lo: 1.0, hi: 900.0, stretch, lut: *colour::Lut::Viridis.table(), nan, background: GROUND };
            let got = draw(&image, &view, &look);
            let (share, worst) = difference(&got, &reference::image(&view, &look, &pyramid), 4);
            assert!(share < 1e-3, "{view:?} {stretch:?}: {share}, worst {worst}");
        }
    }
    // Magnified: a NaN is seen as itself and its neighbours keep their values. Pixel 97 of row 0 is one.
    let look = ImageLook { hi: 900.0, nan, background: GROUND, ..ImageLook::default() };
    let view = View { x: [96.0, 99.0], y: [0.0, 1.0], px: [30, 10] };
    let got = draw(&image, &view, &look);
    assert_eq!(got[15 * 4..][..4], nan);
    assert_ne!(got[5 * 4..][..4], nan);
    assert_ne!(got[25 * 4..][..4], nan);

    // A picture with its first row on top.
    let rgba: Vec<[u8; 4]> = (0..64 * 48).map(|i| [(i % 64 * 4) as u8, (i / 64 * 5) as u8, 40, 255]).collect();
    let picture = ImageTexture::rgba(&gpu.device, &gpu.queue, rgba.as_flattened(), 64, 48).unwrap();
    let pyramid = Pyramid::rgba(&rgba, 64, 48).unwrap();
    for view in [
        View { x: [0.0, 64.0], y: [48.0, 0.0], px: [64, 48] },
        View { x: [0.0, 64.0], y: [48.0, 0.0], px: [20, 15] },
        View { x: [10.0, 20.0], y: [20.0, 10.0], px: [77, 77] },
    ] {
        let got = draw(&picture, &view, &look);
        let (share, worst) = difference(&got, &reference::picture(&view, GROUND, &pyramid), 2);
        assert!(share < 1e-3, "picture {view:?}: {share}, worst {worst}");
        if view.px == [64, 48] {
            assert_eq!(got, rgba.as_flattened());
        }
    }
    assert!(ImageTexture::new(&gpu.device, &gpu.queue, &data, w, h + 1).is_err());
}

#[test]
fn the_composite_copies_the_canvas() {
    let Some(mut gpu) = gpu() else { return };
    let xy = clumps(800, 9);
    let points = gpu.points(&xy);
    let mut canvas = Canvas::new(&gpu.device);
    let view = View { px: [64, 48], ..VIEW };
    let style = Style { background: GROUND, ..Style::default() };
    let want = gpu.draw(&mut canvas, &points, &view, &style, None);
    // Into the middle of a larger target, as a pane lies in a window.
    let mut window = Canvas::new(&gpu.device);
    let back = Style { background: [9, 9, 9, 255], ..Style::default() };
    let none = gpu.points(&[]);
    gpu.draw(&mut window, &none, &View { px: [128, 100], ..VIEW }, &back, None);
    let target = gpu.device.create_texture(&wgpu::TextureDescriptor {
        label: None,
        size: wgpu::Extent3d { width: 128, height: 100, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: canvas::FORMAT,
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
        view_formats: &[],
    });
    let target_view = target.create_view(&wgpu::TextureViewDescriptor::default());
    let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    {
        let pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: None,
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: &target_view,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations { load: wgpu::LoadOp::Clear(wgpu::Color::BLACK), store: wgpu::StoreOp::Store },
            })],
            depth_stencil_attachment: None,
            timestamp_writes: None,
            occlusion_query_set: None,
            multiview_mask: None,
        });
        // As egui hands it over.
        let mut pass: wgpu::RenderPass<'static> = pass.forget_lifetime();
        pass.set_viewport(30.0, 20.0, 64.0, 48.0, 0.0, 1.0);
        gpu.renderer.composite(&mut pass, &canvas);
        gpu.renderer.composite(&mut pass, &Canvas::new(&gpu.device)); // nothing drawn yet: nothing happens
    }
    let staging = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 512 * 100,
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    encoder.copy_texture_to_buffer(
        target.as_image_copy(),
        wgpu::TexelCopyBufferInfo {
            buffer: &staging,
            layout: wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(512), rows_per_image: None },
        },
        wgpu::Extent3d { width: 128, height: 100, depth_or_array_layers: 1 },
    );
    gpu.queue.submit([encoder.finish()]);
    staging.map_async(wgpu::MapMode::Read, .., |r| r.unwrap());
    gpu.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    let got = staging.get_mapped_range(..).unwrap();
    for y in 0..48 {
        let line = &got[(20 + y) * 512 + 30 * 4..][..64 * 4];
        assert_eq!(line, &want[y * 256..][..256], "line {y}");
    }
    assert_eq!(got[10 * 512 + 40..][..4], [0, 0, 0, 255]);
}

/// The renderer and points of a tier, where the device has it.
fn in_both_tiers(mut f: impl FnMut(&mut Gpu, Tier)) {
    for tier in [Tier::Full, Tier::Reference] {
        let Some(mut gpu) = gpu() else { return };
        if tier == Tier::Full && Tier::by_limits(&gpu.device) != tier {
            eprintln!("skipped: this adapter has no compute shaders");
            continue;
        }
        gpu.renderer = Renderer::with_tier(&gpu.device, wgpu::TextureFormat::Rgba8Unorm, tier).unwrap();
        f(&mut gpu, tier);
    }
}

#[test]
fn layouts_glide_without_an_upload() {
    let n = 40_000;
    let (from, to, last) = (clumps(n, 31), clumps(n, 32), clumps(n, 33));
    let style = Style { background: GROUND, ..Style::default() };
    in_both_tiers(|gpu, tier| {
        let mut points = Points::with_tier(&gpu.device, &gpu.queue, &from, [0.0; 2], [1.0; 2], tier);
        let mut canvas = Canvas::new(&gpu.device);
        let budget = gpu.renderer.budget();
        let mut check = |gpu: &mut Gpu, points: &Points, a: &[[f32; 2]], b: &[[f32; 2]], t: f32| {
            for hover in [None, Some(1)] {
                let got = gpu.draw(&mut canvas, points, &VIEW, &style, hover);
                let columns = Columns { to: Some(b), glide: t, ..Columns::new(a) };
                let mut want = reference::points(&VIEW, &style, &columns, budget);
                if let Some(row) = hover {
                    reference::hover_ring(&mut want, &VIEW, &style, &columns, row);
                }
                let (share, worst) = difference(&got, &want, 3);
                assert!(share < 1e-3, "{tier:?} at {t}: {share}, worst {worst}");
            }
        };
        points.set_glide(0.5); // no target: nothing to glide to
        assert_eq!(points.glide(), None);
        points.set_target(&gpu.device, &gpu.queue, &to);
        for t in [0.0, 0.25, 1.0] {
            points.set_glide(t);
            check(gpu, &points, &from, &to, t);
        }
        points.settle();
        check(gpu, &points, &to, &to, 0.0);
        // The other way, with the halves of the buffers changed; then a target that is replaced.
        points.set_target(&gpu.device, &gpu.queue, &from);
        points.set_target(&gpu.device, &gpu.queue, &last);
        points.set_glide(0.75);
        check(gpu, &points, &to, &last, 0.75);
        points.set_positions(&gpu.device, &gpu.queue, &last);
        assert_eq!(points.glide(), None);
        check(gpu, &points, &last, &last, 0.0);
    });
}

#[test]
fn an_equalised_field_agrees_with_the_twin() {
    let n = 100_000;
    let xy = clumps(n, 41);
    let colours: Vec<u32> = (0..n).map(|i| colour::pack(colour::sample(colour::Lut::Plasma, i as f64 / n as f64))).collect();
    let selection = bitmap(n, |i| i % 5 == 0);
    let style = Style { density: Density::Always, tone: Tone::Equalised, background: GROUND, ..Style::default() };
    in_both_tiers(|gpu, tier| {
        let mut points = Points::with_tier(&gpu.device, &gpu.queue, &xy, [0.0; 2], [1.0; 2], tier);
        points.set_colours(&gpu.queue, &colours);
        let mut canvas = Canvas::new(&gpu.device);
        let plain = gpu.draw(&mut canvas, &points, &VIEW, &Style { tone: Tone::Log, ..style }, None);
        for selected in [false, true] {
            points.set_selection(&gpu.queue, &selection, selected);
            let columns = Columns { rgba: Some(&colours), selection: selected.then_some(&selection), ..Columns::new(&xy) };
            let got = gpu.draw(&mut canvas, &points, &VIEW, &style, None);
            let (share, worst) = difference(&got, &reference::points(&VIEW, &style, &columns, gpu.renderer.budget()), 2);
            assert!(share < 1e-4, "{tier:?}, selected {selected}: {share}, worst {worst}");
            assert_ne!(got, plain);
        }
    });
}

#[test]
fn a_moving_pointer_redraws_its_ring_alone() {
    let xy = clumps(2000, 51);
    let style = Style { background: GROUND, radius_px: 3.0, ..Style::default() };
    in_both_tiers(|gpu, tier| {
        let points = Points::with_tier(&gpu.device, &gpu.queue, &xy, [0.0; 2], [1.0; 2], tier);
        let mut canvas = Canvas::new(&gpu.device);
        let columns = Columns::new(&xy);
        let plain = gpu.draw(&mut canvas, &points, &VIEW, &style, None);
        for row in [0, 1, 49, 700, 701] {
            let got = gpu.draw(&mut canvas, &points, &VIEW, &style, Some(row));
            let mut want = plain.clone();
            reference::hover_ring(&mut want, &VIEW, &style, &columns, row);
            let (share, worst) = difference(&got, &want, 2);
            assert!(share < 2e-4, "{tier:?}, row {row}: {share}, worst {worst}");
        }
        assert_eq!(gpu.draw(&mut canvas, &points, &VIEW, &style, None), plain);
        assert_eq!(canvas.draws(), 1);
    });
}

#[test]
fn shared_columns_draw_as_copied_ones() {
    let Some(mut gpu) = gpu() else { return };
    // The tier that the device gets by itself.
    gpu.renderer = Renderer::new(&gpu.device, &gpu.queue, wgpu::TextureFormat::Rgba8Unorm).unwrap();
    let (xy, to) = (Arc::new(clumps(5000, 61)), Arc::new(clumps(5000, 62)));
    let colours: Arc<Vec<u32>> =
        Arc::new((0..5000).map(|i| colour::pack(colour::sample(colour::Lut::Magma, f64::from(i) / 5e3))).collect());
    let mut copied = Points::from_xy(&gpu.device, &gpu.queue, &xy, [0.0; 2], [1.0; 2]);
    let mut shared = Points::from_shared(&gpu.device, &gpu.queue, xy.clone(), [0.0; 2], [1.0; 2]);
    let style = Style { background: GROUND, ..Style::default() };
    let mut pictures = Vec::new();
    for (k, points) in [&mut copied, &mut shared].into_iter().enumerate() {
        let mut canvas = Canvas::new(&gpu.device);
        pictures.push(Vec::new());
        for step in 0..4 {
            match (step, k) {
                (1, 0) => points.set_colours(&gpu.queue, &colours),
                (1, _) => points.set_colours_shared(&gpu.queue, colours.clone()),
                (2, 0) => points.set_target(&gpu.device, &gpu.queue, &to),
                (2, _) => points.set_target_shared(&gpu.device, &gpu.queue, to.clone()),
                (3, 0) => points.set_positions(&gpu.device, &gpu.queue, &to),
                (3, _) => points.set_positions_shared(&gpu.device, &gpu.queue, to.clone()),
                _ => {}
            }
            points.set_glide(0.4);
            pictures[k].push(gpu.draw(&mut canvas, points, &VIEW, &style, None));
        }
    }
    assert!(pictures[0] == pictures[1]);
    assert!(pictures[0].windows(2).all(|p| p[0] != p[1]));
}

#[test]
fn times_fold_where_they_lie() {
    let n = 30_000;
    let mut rng = Rng(91);
    // Rows without a time stay away; a second layout in the buffers shifts where the first row lies.
    let times: Vec<f64> = (0..n).map(|i| if i % 37 == 5 { f64::NAN } else { 2_457_000.0 + 1400.0 * rng.next() }).collect();
    let y: Vec<f32> = (0..n).map(|_| rng.normal() as f32 * 0.8).collect();
    let start: Vec<[f32; 2]> = times.iter().zip(&y).map(|(t, y)| [if t.is_finite() { 0.0 } else { f32::NAN }, *y]).collect();
    let kept = Times::of(&times);
    let view = View { x: [-0.02, 1.02], y: [-3.0, 3.0], px: VIEW.px };
    let style = Style { background: GROUND, ..Style::default() };
    in_both_tiers(|gpu, tier| {
        let mut points = Points::with_tier(&gpu.device, &gpu.queue, &start, [0.5, 0.0], [0.5, 1.0], tier);
        let mut canvas = Canvas::new(&gpu.device);
        let budget = gpu.renderer.budget();
        points.set_fold(kept.fold(1.0, 0.0).unwrap()); // no times: nothing to fold
        assert_eq!(points.fold(), None);
        points.set_target(&gpu.device, &gpu.queue, &start);
        points.settle();
        points.set_times(&gpu.device, &gpu.queue, &kept);
        for period in [0.731_294, 350.0, 0.02] {
            let fold = kept.fold(period, times[0]).unwrap();
            points.set_fold(fold);
            let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            gpu.renderer.fold(&gpu.device, &mut encoder, &mut points);
            gpu.queue.submit([encoder.finish()]);
            let got = gpu.draw(&mut canvas, &points, &view, &style, None);
            let at: Vec<[f32; 2]> = y.iter().enumerate().map(|(i, y)| [fold.of(&kept, i) * 2.0 - 1.0, *y]).collect();
            let inner = View { x: [-1.04, 1.04], ..view };
            let want = reference::points(&inner, &style, &Columns::new(&at), budget);
            let (share, worst) = difference(&got, &want, 3);
            assert!(share < 1e-3, "{tier:?} with {period}: {share}, worst {worst}");
        }
        assert!(points.gpu_bytes() == 0 || tier == Tier::Full);
    });
}
