//! A device that is lost: told in words, drawn on without harm, and the same picture by the next one.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use asterism_render::{
    Canvas, Error, ImageLook, ImageTexture, Points, Renderer, Style, Tier, View, headless, is_lost, try_read_back, wgpu,
};

const VIEW: View = View { x: [-1.0, 1.0], y: [-1.0, 1.0], px: [200, 150] };

/// Rows on a spiral.
fn spiral() -> Vec<[f32; 2]> {
    (0..5000).map(|i| i as f32 / 5000.0).map(|t| [t * (40.0 * t).cos(), t * (40.0 * t).sin()]).collect()
}

struct One {
    device: wgpu::Device,
    queue: wgpu::Queue,
    renderer: Renderer,
    points: Points,
    canvas: Canvas,
    image: ImageTexture,
    shown: Canvas,
}

impl One {
    /// A device of its own with the rows on it; none, said aloud, where there is no adapter.
    fn new(tier: fn(&wgpu::Device) -> Tier) -> Option<Self> {
        let (device, queue) = match headless::device() {
            Ok((device, queue, _)) => (device, queue),
            Err(e) => {
                assert!(std::env::var("ASTERISM_GPU").as_deref() != Ok("required"), "{e}");
                eprintln!("skipped: {e}");
                return None;
            }
        };
        let tier = tier(&device);
        let renderer = Renderer::with_tier(&device, wgpu::TextureFormat::Rgba8Unorm, tier).unwrap();
        let mut points = Points::with_tier(&device, &queue, &spiral(), [0.0; 2], [1.0; 2], tier);
        points.set_selection(&queue, &vec![0x00ff_00ff_00ff_00ff; 5000_usize.div_ceil(64)], true);
        let values: Vec<f32> = (0..64 * 64).map(|i| (i % 64) as f32).collect();
        let image = ImageTexture::new(&device, &queue, &values, 64, 64).unwrap();
        let (canvas, shown) = (Canvas::new(&device), Canvas::new(&device));
        Some(Self { device, queue, renderer, points, canvas, image, shown })
    }

    /// Both pictures, drawn again.
    fn draw(&mut self) -> [Result<Vec<u8>, Error>; 2] {
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        self.canvas.invalidate();
        self.shown.invalidate();
        let (device, queue) = (&self.device, &self.queue);
        let style = Style::default();
        self.renderer.draw_points(device, queue, &mut encoder, &mut self.canvas, &self.points, &VIEW, &style, Some(70));
        let view = View { x: [0.0, 64.0], y: [0.0, 64.0], ..VIEW };
        self.renderer.draw_image(device, queue, &mut encoder, &mut self.shown, &self.image, &view, &ImageLook::default());
        queue.submit([encoder.finish()]);
        [&self.canvas, &self.shown].map(|canvas| try_read_back(device, queue, canvas))
    }
}

fn lost_and_drawn_again(tier: fn(&wgpu::Device) -> Tier) {
    let Some(mut first) = One::new(tier) else { return };
    let told = Arc::new(Mutex::new(Vec::new()));
    let to = told.clone();
    first.device.set_device_lost_callback(move |reason, message| to.lock().unwrap().push((reason, message)));
    let errors = Arc::new(Mutex::new(Vec::new()));
    let to = errors.clone();
    first.device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| to.lock().unwrap().push(e.to_string())));
    let before = first.draw().map(Result::unwrap);
    for picture in &before {
        assert_eq!(picture.len(), 200 * 150 * 4);
        assert!(picture.chunks(4).any(|p| p != &picture[..4]), "something is drawn");
    }
    assert!(!is_lost(&first.device));
    assert!(errors.lock().unwrap().is_empty());

    first.device.destroy();
    let _ = first.device.poll(wgpu::PollType::wait_indefinitely());
    assert_eq!(told.lock().unwrap().len(), 1, "the owner of the device is told, once");
    assert!(is_lost(&first.device));
    // Whatever is still asked of it is no crash: new columns, new looks, another size, pictures.
    let (device, queue) = (first.device.clone(), first.queue.clone());
    first.points.set_selection(&queue, &vec![u64::MAX; 5000_usize.div_ceil(64)], true);
    first.points.set_sizes(&device, &queue, Some(&vec![2.0; 5000]));
    first.points.set_positions_shared(&device, &queue, Arc::new(spiral()));
    for picture in first.draw() {
        assert!(matches!(picture, Err(Error::Lost)), "{picture:?}");
    }
    // What wgpu finds wrong then is the use of what could not be made, and nothing else.
    for e in errors.lock().unwrap().iter() {
        assert!(e.contains("is invalid") || e.contains("destroyed"), "{e}");
    }
    let e = Renderer::new(&device, &queue, wgpu::TextureFormat::Rgba8Unorm).unwrap_err();
    assert!(matches!(e, Error::Lost) && e.to_string().contains("make another one"), "{e}");
    let _ = ImageTexture::new(&device, &queue, &[0.0; 16], 4, 4);

    // The next device draws the same picture, while the first is still held.
    let mut second = One::new(tier).expect("an adapter was there before");
    assert_eq!(second.draw().map(Result::unwrap), before);
    drop(first);
    assert_eq!(second.draw().map(Result::unwrap), before);
}

#[test]
fn a_lost_device_is_told_and_the_next_draws_the_same_by_kernels() {
    lost_and_drawn_again(Tier::by_limits);
}

#[test]
fn a_lost_device_is_told_and_the_next_draws_the_same_by_threads() {
    lost_and_drawn_again(|_| Tier::Reference);
}
