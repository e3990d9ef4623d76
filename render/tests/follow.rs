//! Positions drawn from a buffer that something else on the device writes.

#![allow(clippy::unwrap_used)]

use asterism_render::{Canvas, Points, Renderer, Style, Tier, View, colour, headless, points::CHUNK, read_back, wgpu};

struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
    renderer: Renderer,
}

fn gpu() -> Option<Gpu> {
    let Ok((device, queue, _)) = headless::device() else {
        eprintln!("SKIPPED: there is no adapter");
        return None;
    };
    if Tier::by_limits(&device) != Tier::Full {
        eprintln!("SKIPPED: this adapter has no compute shaders");
        return None;
    }
    let renderer = Renderer::with_tier(&device, wgpu::TextureFormat::Rgba8Unorm, Tier::Full).unwrap();
    Some(Gpu { device, queue, renderer })
}

impl Gpu {
    fn draw(&mut self, points: &Points, hover: Option<u32>) -> Vec<u8> {
        let view = View { x: [-2.0, 2.0], y: [-2.0, 2.0], px: [160, 120] };
        let mut canvas = Canvas::new(&self.device);
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let style = Style { opacity: 1.0, ..Style::default() };
        self.renderer.draw_points(&self.device, &self.queue, &mut encoder, &mut canvas, points, &view, &style, hover);
        self.queue.submit([encoder.finish()]);
        read_back(&self.device, &self.queue, &canvas)
    }

    fn upload(&self, xy: &[[f32; 2]]) -> Points {
        Points::with_tier(&self.device, &self.queue, xy, [0.0; 2], [1.0; 2], Tier::Full)
    }

    fn buffer(&self, xy: &[[f32; 2]]) -> wgpu::Buffer {
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: xy.len() as u64 * 8,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        self.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(xy));
        buffer
    }
}

/// A ring of so many points, each turn wider.
fn ring(n: usize, turn: f32) -> Vec<[f32; 2]> {
    (0..n)
        .map(|i| (i as f32 * 0.618, 1.0 + (i % 97) as f32 / 100.0))
        .map(|(a, r)| [(a + turn).cos() * r, (a * turn).sin() * r])
        .collect()
}

#[test]
fn a_picture_from_a_buffer_is_that_of_uploaded_positions() {
    let Some(mut gpu) = gpu() else { return };
    for n in [500, 40_000] {
        let (first, then) = (ring(n, 0.9), ring(n, 1.3));
        let colours: Vec<u32> = (0..n).map(|i| colour::pack([(i % 256) as u8, 90, 200, 255])).collect();
        let selection: Vec<u64> = (0..n.div_ceil(64)).map(|w| 0x00ff_00ff_f0f0_f0f0 ^ w as u64).collect();
        let dress = |gpu: &Gpu, points: &mut Points| {
            points.set_colours(&gpu.queue, &colours);
            points.set_selection(&gpu.queue, &selection, true);
        };
        let mut uploaded = gpu.upload(&first);
        dress(&gpu, &mut uploaded);
        let buffer = gpu.buffer(&first);
        let mut followed = Points::from_buffer(&gpu.device, &buffer, n, [0.0; 2], [1.0; 2], Tier::Full).unwrap();
        dress(&gpu, &mut followed);
        assert!(followed.follows() && followed.len() == n);
        let before = gpu.draw(&uploaded, None);
        assert!(before.chunks_exact(4).any(|p| p[..3] != before[..3]), "there is something to be seen");
        assert!(gpu.draw(&followed, None) == before && gpu.draw(&followed, Some(7)) == gpu.draw(&uploaded, Some(7)));
        // The buffer is written on the device; nothing is uploaded, columns stay.
        gpu.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&then));
        let generation = followed.generation();
        followed.renewed();
        assert!(followed.generation() > generation);
        uploaded.set_positions(&gpu.device, &gpu.queue, &then);
        let after = gpu.draw(&uploaded, None);
        assert!(after != before && gpu.draw(&followed, None) == after);
        // Own positions again leave the buffer alone and keep the columns.
        followed.set_positions(&gpu.device, &gpu.queue, &first);
        assert!(!followed.follows() && gpu.draw(&followed, None) == before);
        let still = Points::from_buffer(&gpu.device, &buffer, n, [0.0; 2], [1.0; 2], Tier::Full);
        let mut still = still.unwrap();
        dress(&gpu, &mut still);
        assert!(gpu.draw(&still, None) == after);
        // A glide starts where the buffer is.
        still.set_target(&gpu.device, &gpu.queue, &first);
        assert!(!still.follows() && gpu.draw(&still, None) == after);
        still.set_glide(1.0);
        assert!(gpu.draw(&still, None) == before);
        // What was uploaded can follow, and a buffer that is too short cannot be.
        assert!(uploaded.follow(&gpu.device, &buffer, n) && gpu.draw(&uploaded, None) == after);
        assert!(!uploaded.follow(&gpu.device, &buffer, n + 1) && uploaded.len() == n);
    }
}

#[test]
fn chunks_beyond_the_first_are_followed() {
    let Some(mut gpu) = gpu() else { return };
    let n = CHUNK + 300;
    let xy: Vec<[f32; 2]> =
        (0..n).map(|i| if i < CHUNK { [99.0, 99.0] } else { [(i - CHUNK) as f32 / 200.0 - 1.0, 0.5] }).collect();
    let buffer = gpu.buffer(&xy);
    let followed = Points::from_buffer(&gpu.device, &buffer, n, [0.0; 2], [1.0; 2], Tier::Full).unwrap();
    let got = gpu.draw(&followed, None);
    assert!(got.chunks_exact(4).any(|p| p[..3] != got[..3]));
    let uploaded = gpu.upload(&xy);
    assert!(got == gpu.draw(&uploaded, None));
}

#[test]
fn where_the_processor_draws_nothing_is_followed() {
    let Some(gpu) = gpu() else { return };
    let buffer = gpu.buffer(&ring(10, 1.0));
    assert!(Points::from_buffer(&gpu.device, &buffer, 10, [0.0; 2], [1.0; 2], Tier::Reference).is_none());
}
