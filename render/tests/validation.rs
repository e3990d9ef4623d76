//! Everything that is drawn, with Vulkan's own validation layers looking on where they are installed: they say what a driver
//! bears in silence and another one does not.

#![allow(clippy::unwrap_used)]

use asterism_render::{
    Canvas, Density, ImageLook, ImageTexture, Points, Renderer, Style, Tier, Tone, View, headless, try_read_back, wgpu,
};

/// Draws whatever there is in views of several sizes, lays each onto a target and reads it back.
fn draw_all(device: &wgpu::Device, queue: &wgpu::Queue, tier: Tier) {
    let spiral: Vec<[f32; 2]> =
        (0..60_000).map(|i| i as f32 / 6e4).map(|t| [t * (400.0 * t).cos(), t * (400.0 * t).sin()]).collect();
    let rows = spiral.len();
    let mut image = ImageTexture::new(device, queue, &vec![0.5; 300 * 200], 300, 200).unwrap();
    for target in [wgpu::TextureFormat::Bgra8Unorm, wgpu::TextureFormat::Rgba8UnormSrgb] {
        let mut renderer = Renderer::with_tier(device, target, tier).unwrap();
        let mut points = Points::with_tier(device, queue, &spiral, [0.0; 2], [1.0; 2], tier);
        let (mut canvas, mut shown) = (Canvas::new(device), Canvas::new(device));
        for (turn, px) in [[320, 200], [701, 433], [90, 77], [701, 433]].into_iter().enumerate() {
            match turn {
                1 => points.set_colours(queue, &vec![0xff20_80f0; rows]),
                2 => points.set_selection(queue, &vec![0x0f0f_0f0f_0f0f_0f0f; rows.div_ceil(64)], true),
                3 => points.set_sizes(device, queue, Some(&vec![1.5; rows])),
                _ => {}
            }
            for density in [Density::Auto, Density::Always, Density::Never] {
                let tone = if turn % 2 == 0 { Tone::Log } else { Tone::Equalised };
                let style = Style { density, tone, hide_rest: turn == 3, ..Style::default() };
                let onto = device.create_texture(&wgpu::TextureDescriptor {
                    label: Some("window"),
                    size: wgpu::Extent3d { width: px[0], height: px[1], depth_or_array_layers: 1 },
                    mip_level_count: 1,
                    sample_count: 1,
                    dimension: wgpu::TextureDimension::D2,
                    format: target,
                    usage: wgpu::TextureUsages::RENDER_ATTACHMENT,
                    view_formats: &[],
                });
                let onto = onto.create_view(&wgpu::TextureViewDescriptor::default());
                let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
                let view = View { x: [-1.0, 1.0], y: [-1.0, 1.0], px };
                renderer.draw_points(device, queue, &mut encoder, &mut canvas, &points, &view, &style, Some(40_000));
                let view = View { x: [-10.0, 310.0], y: [0.0, 200.0], px };
                renderer.draw_image(device, queue, &mut encoder, &mut shown, &image, &view, &ImageLook::default());
                let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
                    color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                        view: &onto,
                        depth_slice: None,
                        resolve_target: None,
                        ops: wgpu::Operations { load: wgpu::LoadOp::Clear(wgpu::Color::BLACK), store: wgpu::StoreOp::Store },
                    })],
                    ..Default::default()
                });
                renderer.composite(&mut pass, &shown);
                renderer.composite(&mut pass, &canvas);
                drop(pass);
                queue.submit([encoder.finish()]);
                for canvas in [&canvas, &shown] {
                    assert_eq!(try_read_back(device, queue, canvas).unwrap().len(), (px[0] * px[1] * 4) as usize);
                }
            }
        }
        image = ImageTexture::rgba(device, queue, &vec![200; 64 * 48 * 4], 64, 48).unwrap();
    }
}

#[test]
fn vulkans_validation_layers_find_nothing_wrong() {
    const ALONE: &str = "ASTERISM_VALIDATION_ALONE";
    if std::env::var_os(ALONE).is_some() {
        match headless::device() {
            Ok((device, queue, _)) => {
                draw_all(&device, &queue, Tier::by_limits(&device));
                draw_all(&device, &queue, Tier::Reference);
            }
            Err(e) => {
                assert!(std::env::var("ASTERISM_GPU").as_deref() != Ok("required"), "{e}");
                eprintln!("skipped: {e}");
            }
        }
        return;
    }
    // In a process of its own, since the layers say what they find on its output. wgpu's messages are not used for it: it asks for them
    // together with the source of each shader, whose language layers of 2023 take for an error.
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("layers-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let settings = "khronos_validation.debug_action = VK_DBG_LAYER_ACTION_LOG_MSG\nkhronos_validation.log_filename = stdout\n\
                    khronos_validation.report_flags = error,info\n";
    std::fs::write(folder.join("vk_layer_settings.txt"), settings).unwrap();
    let out = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["vulkans_validation_layers_find_nothing_wrong", "--exact", "--nocapture"])
        .envs([(ALONE, "1"), ("WGPU_VALIDATION", "1"), ("WGPU_DEBUG", "0")])
        .env("VK_LAYER_SETTINGS_PATH", &folder)
        .output()
        .unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let said = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && said.contains("1 passed"), "{said}");
    let errors: Vec<&str> = said.lines().filter(|l| l.contains("Validation Error")).collect();
    assert!(errors.is_empty(), "{} errors: {:#?}", errors.len(), &errors[..errors.len().min(10)]);
    if !said.contains("khronos-validation-createinstance-status-message") {
        assert!(std::env::var("ASTERISM_VALIDATION").as_deref() != Ok("required"), "the validation layers are not installed");
        eprintln!("not judged by Vulkan's validation layers: install them (Debian: vulkan-validationlayers)");
    }
}
