//! Where the memory of drawing goes: resident memory after each thing that is made, of this process alone.
//!
//! ```sh
//! cargo run --release -p asterism-render --example bench_memory -- [ROWS]    # WGPU_BACKEND narrows the drivers
//! ```

use std::sync::Arc;

use asterism_render::{Canvas, ImageLook, ImageTexture, Points, Renderer, Style, Tier, View, headless, wgpu};

/// Resident memory and the part of it that is files (the code of libraries), bytes.
fn resident() -> [u64; 2] {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let page = |i: usize| text.split_whitespace().nth(i).and_then(|v| v.parse::<u64>().ok()).map_or(0, |v| v * 4096);
    [page(1), page(2)]
}

fn say(what: &str, last: &mut [u64; 2]) {
    let now = resident();
    let mb = |a: u64, b: u64| (a as f64 - b as f64) / 1e6;
    println!("{what:42} {:+8.1} MB ({:+.1} of it files); {:.1} in all", mb(now[0], last[0]), mb(now[1], last[1]), mb(now[0], 0));
    *last = now;
}

fn main() -> Result<(), asterism_render::Error> {
    let rows: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let mut last = [0; 2];
    say("start", &mut last);
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    say("instance", &mut last);
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
    say("adapters", &mut last);
    drop((adapters, instance));
    let (device, queue, info) = headless::device()?;
    say(&format!("device ({})", info.name), &mut last);
    let mut renderer = Renderer::new(&device, &queue, wgpu::TextureFormat::Bgra8Unorm)?;
    say(&format!("renderer ({:?})", Tier::of(&device)), &mut last);
    let mut canvas = Canvas::new(&device);
    let target = device.create_texture(&wgpu::TextureDescriptor {
        label: Some("window"),
        size: wgpu::Extent3d { width: 1280, height: 760, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Bgra8Unorm,
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT,
        view_formats: &[],
    });
    let onto = target.create_view(&wgpu::TextureViewDescriptor::default());
    let view = View { x: [-1.0, 1.0], y: [-1.0, 1.0], px: [1280, 760] };
    let image = ImageTexture::new(&device, &queue, &[0.0; 16], 4, 4)?;
    let frame = |renderer: &mut Renderer, canvas: &mut Canvas, what: Result<&Points, &ImageTexture>| {
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        match what {
            Ok(points) => renderer.draw_points(&device, &queue, &mut encoder, canvas, points, &view, &Style::default(), None),
            Err(image) => renderer.draw_image(&device, &queue, &mut encoder, canvas, image, &view, &ImageLook::default()),
        }
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: &onto,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations { load: wgpu::LoadOp::Clear(wgpu::Color::BLACK), store: wgpu::StoreOp::Store },
            })],
            ..Default::default()
        });
        renderer.composite(&mut pass, canvas);
        drop(pass);
        queue.submit([encoder.finish()]);
        // Nothing to do about a device that fails here: the figures say what came before.
        let _ = device.poll(wgpu::PollType::wait_indefinitely());
    };
    let few = Points::new(&device, &queue, &[0.0], &[0.0]);
    frame(&mut renderer, &mut canvas, Ok(&few));
    say("canvas and a frame of one point", &mut last);
    canvas.invalidate();
    frame(&mut renderer, &mut canvas, Ok(&few));
    say("the same again", &mut last);
    let mut seed = 1_u64;
    let mut unit = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let xy: Arc<Vec<[f32; 2]>> = Arc::new((0..rows).map(|_| [unit() * unit(), unit() * unit()]).collect());
    let rgba = Arc::new(vec![0xff20_80f0_u32; rows]);
    say(&format!("the table: {rows} rows, 12 B each"), &mut last);
    let mut many = Points::from_shared(&device, &queue, xy, [0.0; 2], [1.0; 2]);
    many.set_colours_shared(&queue, rgba);
    say("the same handed over", &mut last);
    frame(&mut renderer, &mut canvas, Ok(&many));
    say("a frame of them", &mut last);
    println!(
        "{:42} {:8.1} MB of scratch, {:.1} of canvas",
        "of it ours:",
        renderer.gpu_bytes() as f64 / 1e6,
        canvas.gpu_bytes() as f64 / 1e6
    );
    frame(&mut renderer, &mut canvas, Err(&image));
    say("a frame of an image", &mut last);
    Ok(())
}
