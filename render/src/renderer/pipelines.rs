//! Pipelines, layouts and small buffers of the renderer: what is made once for a device, and the few lines that wgpu wants for each.

use super::STATE_WORDS;
use crate::canvas::FORMAT;

pub(super) struct Full {
    pub(super) field_layout: wgpu::BindGroupLayout,
    pub(super) marks_layout: wgpu::BindGroupLayout,
    pub(super) hover_layout: wgpu::BindGroupLayout,
    pub(super) resolve_layout: wgpu::BindGroupLayout,
    pub(super) fold_layout: wgpu::BindGroupLayout,
    pub(super) fold: wgpu::ComputePipeline,
    pub(super) gather: wgpu::ComputePipeline,
    pub(super) decide: wgpu::ComputePipeline,
    pub(super) splat: wgpu::ComputePipeline,
    pub(super) histogram: wgpu::ComputePipeline,
    pub(super) white: wgpu::ComputePipeline,
    /// Rest and chosen.
    pub(super) marks: [wgpu::RenderPipeline; 2],
    pub(super) lone: [wgpu::RenderPipeline; 2],
    pub(super) hover: wgpu::RenderPipeline,
    pub(super) resolve: wgpu::RenderPipeline,
    pub(super) sums: wgpu::TextureFormat,
    pub(super) state: wgpu::Buffer,
    pub(super) dummy: wgpu::Buffer,
}

pub(super) const OVER: wgpu::BlendState = wgpu::BlendState::PREMULTIPLIED_ALPHA_BLENDING;
pub(super) const ADD: wgpu::BlendState = {
    let c = wgpu::BlendComponent {
        src_factor: wgpu::BlendFactor::One,
        dst_factor: wgpu::BlendFactor::One,
        operation: wgpu::BlendOperation::Add,
    };
    wgpu::BlendState { color: c, alpha: c }
};

/// Kinds of binding that we use.
#[derive(Clone, Copy)]
pub(super) enum Slot {
    Uniform,
    Read,
    Write,
    Texture,
}

pub(super) fn layout(device: &wgpu::Device, label: &str, stages: wgpu::ShaderStages, slots: &[Slot]) -> wgpu::BindGroupLayout {
    let entries: Vec<_> = slots
        .iter()
        .enumerate()
        .map(|(i, slot)| {
            let of_buffer = |ty| wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None };
            wgpu::BindGroupLayoutEntry {
                binding: i as u32,
                visibility: stages,
                ty: match slot {
                    Slot::Uniform => of_buffer(wgpu::BufferBindingType::Uniform),
                    Slot::Read => of_buffer(wgpu::BufferBindingType::Storage { read_only: true }),
                    Slot::Write => of_buffer(wgpu::BufferBindingType::Storage { read_only: false }),
                    Slot::Texture => wgpu::BindingType::Texture {
                        sample_type: wgpu::TextureSampleType::Float { filterable: false },
                        view_dimension: wgpu::TextureViewDimension::D2,
                        multisampled: false,
                    },
                },
                count: None,
            }
        })
        .collect();
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(label), entries: &entries })
}

pub(super) fn module(device: &wgpu::Device, label: &str, source: &str) -> wgpu::ShaderModule {
    device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(label),
        source: wgpu::ShaderSource::Wgsl(source.into()),
    })
}

/// What distinguishes our render pipelines.
pub(super) struct Draw<'a> {
    pub(super) label: &'a str,
    pub(super) layout: &'a wgpu::BindGroupLayout,
    pub(super) module: &'a wgpu::ShaderModule,
    pub(super) vertex: &'a str,
    pub(super) fragment: &'a str,
    pub(super) format: wgpu::TextureFormat,
    pub(super) blend: Option<wgpu::BlendState>,
}

pub(super) fn draw_pipeline(device: &wgpu::Device, d: &Draw<'_>) -> wgpu::RenderPipeline {
    let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(d.label),
        bind_group_layouts: &[Some(d.layout)],
        immediate_size: 0,
    });
    device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
        label: Some(d.label),
        layout: Some(&layout),
        vertex: wgpu::VertexState {
            module: d.module,
            entry_point: Some(d.vertex),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            buffers: &[],
        },
        primitive: wgpu::PrimitiveState::default(),
        depth_stencil: None,
        multisample: wgpu::MultisampleState::default(),
        fragment: Some(wgpu::FragmentState {
            module: d.module,
            entry_point: Some(d.fragment),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            targets: &[Some(wgpu::ColorTargetState { format: d.format, blend: d.blend, write_mask: wgpu::ColorWrites::ALL })],
        }),
        multiview_mask: None,
        cache: None,
    })
}

pub(super) fn bind(
    device: &wgpu::Device,
    layout: &wgpu::BindGroupLayout,
    resources: &[wgpu::BindingResource<'_>],
) -> wgpu::BindGroup {
    let entries: Vec<_> =
        resources.iter().enumerate().map(|(i, r)| wgpu::BindGroupEntry { binding: i as u32, resource: r.clone() }).collect();
    device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries: &entries })
}

pub(super) fn view_of(texture: &wgpu::TextureView) -> wgpu::BindingResource<'_> {
    wgpu::BindingResource::TextureView(texture)
}

pub(super) fn storage(device: &wgpu::Device, label: &str, bytes: u64) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: bytes,
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
        mapped_at_creation: false,
    })
}

pub(super) fn target_pass<'a>(
    encoder: &'a mut wgpu::CommandEncoder,
    label: &str,
    view: &wgpu::TextureView,
    load: wgpu::LoadOp<wgpu::Color>,
    px: [u32; 2],
) -> wgpu::RenderPass<'a> {
    let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
        label: Some(label),
        color_attachments: &[Some(wgpu::RenderPassColorAttachment {
            view,
            depth_slice: None,
            resolve_target: None,
            ops: wgpu::Operations { load, store: wgpu::StoreOp::Store },
        })],
        depth_stencil_attachment: None,
        timestamp_writes: None,
        occlusion_query_set: None,
        multiview_mask: None,
    });
    pass.set_viewport(0.0, 0.0, px[0] as f32, px[1] as f32, 0.0, 1.0);
    pass.set_scissor_rect(0, 0, px[0], px[1]);
    pass
}

/// Workgroups along x and y for `n` threads in groups of 256.
pub(super) fn groups(n: usize) -> (u32, u32) {
    let g = n.div_ceil(256).max(1) as u32;
    let x = g.min(4096);
    (x, g.div_ceil(x))
}

impl Full {
    pub(super) fn new(device: &wgpu::Device) -> Self {
        use Slot::{Read, Texture, Uniform, Write};
        let frame = include_str!("../shaders/frame.wgsl");
        let with_frame = |source: &str| format!("{frame}\n{source}");
        let field = module(device, "field.wgsl", &with_frame(include_str!("../shaders/field.wgsl")));
        let marks = module(device, "marks.wgsl", &with_frame(include_str!("../shaders/marks.wgsl")));
        let hover = module(device, "hover.wgsl", &with_frame(include_str!("../shaders/hover.wgsl")));
        let resolve = module(device, "resolve.wgsl", &with_frame(include_str!("../shaders/resolve.wgsl")));
        let field_layout =
            layout(device, "field", wgpu::ShaderStages::COMPUTE, &[Uniform, Read, Read, Read, Read, Write, Write, Write, Write]);
        let both = wgpu::ShaderStages::VERTEX_FRAGMENT;
        let marks_layout = layout(device, "marks", wgpu::ShaderStages::VERTEX, &[Uniform, Read, Read]);
        let hover_layout = layout(device, "hover", wgpu::ShaderStages::VERTEX, &[Uniform, Read, Read, Read]);
        let resolve_layout = layout(device, "resolve", both, &[Uniform, Read, Read, Read, Texture, Texture]);
        let fold_layout = layout(device, "fold", wgpu::ShaderStages::COMPUTE, &[Uniform, Read, Write]);
        let compute_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("field"),
            bind_group_layouts: &[Some(&field_layout)],
            immediate_size: 0,
        });
        let fold = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("fold"),
            layout: Some(&device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some("fold"),
                bind_group_layouts: &[Some(&fold_layout)],
                immediate_size: 0,
            })),
            module: &module(device, "fold.wgsl", include_str!("../shaders/fold.wgsl")),
            entry_point: Some("fold_times"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        let compute = |entry: &str| {
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(entry),
                layout: Some(&compute_layout),
                module: &field,
                entry_point: Some(entry),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                cache: None,
            })
        };
        // Half floats lose colour where hundreds of marks lie on each other; full ones can be blended on most desktops.
        let sums = if device.features().contains(wgpu::Features::FLOAT32_BLENDABLE) {
            wgpu::TextureFormat::Rgba32Float
        } else {
            wgpu::TextureFormat::Rgba16Float
        };
        let marks_draw = |vertex: &str| {
            draw_pipeline(
                device,
                &Draw {
                    label: vertex,
                    layout: &marks_layout,
                    module: &marks,
                    vertex,
                    fragment: "fs_mark",
                    format: sums,
                    blend: Some(ADD),
                },
            )
        };
        let over = |label: &str, layout, module, vertex: &str, fragment: &str, blend| {
            draw_pipeline(device, &Draw { label, layout, module, vertex, fragment, format: FORMAT, blend })
        };
        Self {
            gather: compute("gather"),
            decide: compute("decide"),
            splat: compute("splat"),
            histogram: compute("histogram"),
            white: compute("white"),
            marks: [marks_draw("vs_rest"), marks_draw("vs_chosen")],
            lone: [marks_draw("vs_lone_rest"), marks_draw("vs_lone_chosen")],
            hover: over("hover", &hover_layout, &hover, "vs_hover", "fs_hover", Some(OVER)),
            resolve: over("resolve", &resolve_layout, &resolve, "vs_full", "fs_resolve", None),
            field_layout,
            marks_layout,
            hover_layout,
            resolve_layout,
            fold_layout,
            fold,
            sums,
            state: device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("scatter state"),
                size: STATE_WORDS * 4,
                usage: wgpu::BufferUsages::STORAGE
                    | wgpu::BufferUsages::INDIRECT
                    | wgpu::BufferUsages::COPY_DST
                    | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            }),
            dummy: storage(device, "nothing", 16),
        }
    }
}

pub(super) fn uniform<T: bytemuck::Pod>(device: &wgpu::Device, value: &T) -> wgpu::Buffer {
    let bytes = bytemuck::bytes_of(value);
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: (bytes.len() as u64).next_multiple_of(wgpu::COPY_BUFFER_ALIGNMENT),
        usage: wgpu::BufferUsages::UNIFORM,
        mapped_at_creation: true,
    });
    // wgpu's own helper panics where the device was lost: then nothing is drawn by it anyway.
    if let Ok(mut range) = buffer.get_mapped_range_mut(..) {
        range.slice(..bytes.len()).copy_from_slice(bytes);
    }
    buffer.unmap();
    buffer
}
