import Karat
import KaratEngine
import KaratGraphs
import KaratTestSupport
import Testing

/// A graph with as many operations as DeepSeek-V3's: 58 blocks of 256 experts.
///
/// Each step is linear in its size; a step that were not would take minutes.
@Suite struct LargeGraphs {
  private static let blocks = 58
  private static let experts = 256
  private static let size = 8

  private func graph() throws -> Graph {
    let tracer = Tracer()
    let ids = tracer.input("input_ids", ValueType(.i32, [.batch, .length]))
    let w = tracer.root / "model"
    var x = ids.through(
      .embedding(Embedding()),
      (w / "embed_tokens").parameter("weight", 16, Self.size),
      at: w / "embed_tokens"
    )
    for block in 0..<Self.blocks {
      x = tracer.block(block) { x + mixture(x, w / "layers" / "\(block)" / "mlp") }
      tracer.name(x, "hidden_after_layer_\(block)")
    }
    tracer.name(linear(x, tracer.root / "lm_head", Self.size, 16), "logits")
    return try tracer.finish()
  }

  private func mixture(_ x: Value, _ w: Scope) -> Value {
    let route = Route(chosen: 8, score: .sigmoid, normalizes: true)
    let weights = linear(x, w / "gate", Self.size, Self.experts).through(
      .route(route),
      at: w / "gate"
    )
    let (offsets, slots) = (weights.result(2), weights.result(3))
    let given = (0..<Self.experts).map { index in
      let expert = w / "experts" / "\(index)"
      let rows = x.through(.expertRows(ExpertRows(expert: index)), offsets, slots, at: expert)
      let gate = linear(rows, expert / "gate_proj", Self.size, Self.size)
      let up = linear(rows, expert / "up_proj", Self.size, Self.size)
      return linear(
        gate.through(.swiglu(SwiGLU()), up, at: expert),
        expert / "down_proj",
        Self.size,
        Self.size
      )
    }
    return weights.through(.combineExperts(CombineExperts()), [offsets, slots] + given, at: w)
  }

  @Test func tracingCheckingRewritingAndRunningAreLinear() throws {
    let graph = try graph()
    let layers = graph.linearLayers
    #expect(graph.nodes.count > 118_000)
    #expect(layers.count == Self.blocks * (3 * Self.experts + 1) + 1)
    try graph.check()
    #expect(graph.stages.count == Self.blocks + 2)
    #expect(graph.sharedParameters.isEmpty)

    let chosen = Set(layers.map(\.path).filter { $0 != "lm_head" })
    let quantized = try graph.withQuantizedWeights(of: chosen, .int8Weights)
    let leaders = Dictionary(uniqueKeysWithValues: chosen.map { ($0, $0) })
    let integer = try quantized.withQuantizedActivations(leaders: leaders, .int8Activations)
    try integer.check()
    #expect(integer.linearLayers.map(\.path) == ["lm_head"])

    let tensors = graph.parameters.map { name, type in
      (name, TensorInfo(.f32, type.shape(Binding(batch: 0, length: 0))))
    }
    let source = Ones(tensors)
    try graph.check(against: source.manifest, file: "large", isSpare: { _ in false })
    let executor = Executor(Model(graph: graph, source: source))
    var first: Tensor?
    for _ in 0..<2 {
      let logits = try executor.logits([3, 1, 4])
      #expect(first.map { logits.isIdentical(to: $0) } ?? true)
      first = logits
    }
  }

  /// A source whose tensors hold nothing but a small number.
  private struct Ones: TensorSource {
    let manifest: Manifest

    init(_ tensors: [(TensorName, TensorInfo)]) {
      var manifest = Manifest(metadata: [:])
      for (name, info) in tensors { manifest.set(name, info) }
      self.manifest = manifest
    }

    func tensor(_ name: TensorName) throws(CheckpointError) -> Tensor {
      guard let info = manifest[name] else {
        throw CheckpointError(.missing, file: "large", tensor: name, "it is not there.")
      }
      return Tensor([Float](repeating: 0.01, count: info.shape.elementCount), shape: info.shape)
    }
  }
}
