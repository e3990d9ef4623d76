//! A device without a window: for tests, exports and benchmarks.
//!
//! Looks through Vulkan, Metal and DX12 first and GL last, real GPUs before software ones; `WGPU_BACKEND` narrows the choice.
//! The window should ask for [`device_descriptor`] too: eframe's own asks for no storage buffers on GL.

use crate::Error;

/// What we ask of an adapter: its own limits (buffers at most 1 GiB) and the few features that are used where present.
pub fn device_descriptor(adapter: &wgpu::Adapter) -> wgpu::DeviceDescriptor<'static> {
    let mut limits = adapter.limits();
    limits.max_buffer_size = limits.max_buffer_size.min(1 << 30);
    limits.max_storage_buffer_binding_size = limits.max_storage_buffer_binding_size.min(1 << 30);
    wgpu::DeviceDescriptor {
        label: Some("asterism"),
        required_features: adapter.features() & wgpu::Features::FLOAT32_BLENDABLE,
        required_limits: limits,
        memory_hints: wgpu::MemoryHints::MemoryUsage,
        ..Default::default()
    }
}

/// Lower is better.
fn rank(info: &wgpu::AdapterInfo) -> (u8, u8) {
    let kind = match info.device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    };
    (kind, u8::from(info.backend == wgpu::Backend::Gl))
}

/// Opens the best adapter there is, software included.
///
/// # Errors
/// [`Error::NoAdapter`] says what to install; [`Error::NoDevice`] what the driver said.
pub fn device() -> Result<(wgpu::Device, wgpu::Queue, wgpu::AdapterInfo), Error> {
    let wanted = wgpu::Backends::from_env();
    // GL is only asked when nothing better answers: listing it opens EGL displays.
    let rounds = match wanted {
        Some(b) => vec![b],
        None => vec![wgpu::Backends::PRIMARY, wgpu::Backends::GL],
    };
    let mut failure = Error::NoAdapter("Vulkan, Metal, DX12 and GL were asked".to_owned());
    for backends in rounds {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.backends = backends;
        // WGPU_VALIDATION=1 asks Vulkan's own validation layers, where they are installed, to look on.
        descriptor.flags = descriptor.flags.with_env();
        let instance = wgpu::Instance::new(descriptor);
        let mut adapters = pollster::block_on(instance.enumerate_adapters(backends));
        adapters.sort_by_key(|a| rank(&a.get_info()));
        for adapter in adapters {
            let info = adapter.get_info();
            match pollster::block_on(adapter.request_device(&device_descriptor(&adapter))) {
                Ok((device, queue)) => return Ok((device, queue, info)),
                Err(e) => {
                    failure = Error::NoDevice { adapter: format!("{} ({})", info.name, info.backend), reason: e.to_string() };
                }
            }
        }
    }
    Err(failure)
}
