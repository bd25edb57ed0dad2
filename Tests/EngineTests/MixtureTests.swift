import Karat
import KaratEngine
import KaratGraphs
import KaratTestSupport
import Synchronization
import Testing

/// A source that tells which tensors were pulled.
final class WatchedSource: TensorSource {
  private let base: any TensorSource
  private let names = Mutex<Set<TensorName>>([])
  var manifest: Manifest { base.manifest }
  var pulled: Set<TensorName> { names.withLock { $0 } }

  init(_ base: any TensorSource) { self.base = base }

  func tensor(_ name: TensorName) throws(CheckpointError) -> Tensor {
    names.withLock { _ = $0.insert(name) }
    return try base.tensor(name)
  }
}

/// Runs of a mixture of experts whose router is the token itself: token t's logits are row t of a
/// table.
@Suite struct MixtureOfExperts {
  private static let features = 4
  private static let experts = 5

  /// Expert e multiplies by e + 1; the router's logits are the first five features.
  private func model(chosen: Int, logits: [[Float]]) throws -> (Model, WatchedSource) {
    let size = Self.features
    let tracer = Tracer()
    let w = tracer.root
    let ids = tracer.input("input_ids", ValueType(.i32, [.batch, .length]))
    let x = ids.through(
      .embedding(Embedding()),
      (w / "x").parameter("weight", logits.count, size),
      at: w / "x"
    )
    let scores = ids.through(
      .embedding(Embedding()),
      (w / "router").parameter("weight", logits.count, Self.experts),
      at: w / "router"
    )
    let route = Route(chosen: chosen, score: .softmax, normalizes: true)
    let weights = scores.through(.route(route), at: w / "router")
    let (offsets, slots) = (weights.result(2), weights.result(3))
    let given = (0..<Self.experts).map { expert in
      linear(
        x.through(.expertRows(ExpertRows(expert: expert)), offsets, slots, at: w),
        w / "experts" / "\(expert)",
        size,
        size
      )
    }
    let y = weights.through(.combineExperts(CombineExperts()), [offsets, slots] + given, at: w)
    tracer.name(y, "logits")
    tracer.name(weights.result(1), "experts")
    var tensors: [TensorName: Tensor] = [
      "x.weight": Tensor(
        (0..<logits.count * size).map { Float($0 + 1) },
        shape: [logits.count, size]
      ),
      "router.weight": Tensor(logits.flatMap(\.self), shape: [logits.count, Self.experts]),
    ]
    for expert in 0..<Self.experts {
      let diagonal = (0..<size * size).map { $0 % (size + 1) == 0 ? Float(expert + 1) : 0 }
      tensors[TensorName("experts.\(expert).weight")] = Tensor(diagonal, shape: [size, size])
    }
    let source = WatchedSource(MemorySource(tensors))
    return (Model(graph: try tracer.finish(), source: source), source)
  }

  @Test func tokensReachTheirExpertsAndNoOtherIsPulled() throws {
    // Token 0 reaches experts 1 and 3 evenly, token 1 expert 3 and, far behind, 1.
    let (model, source) = try model(
      chosen: 2,
      logits: [[-9, 2, -9, 2, -9], [-9, 0, -9, 20, -9]]
    )
    let executor = Executor(model)
    for _ in 0..<2 {
      try executor.run(tokens: [[0, 1, 0], [1, 1, 1]], names: ["logits", "experts"]) {
        name,
        operand in
        let tensor = operand.copied()
        if name == "experts" {
          #expect(tensor.elements(as: Int32.self) == [1, 3, 3, 1, 1, 3, 3, 1, 3, 1, 3, 1])
          return
        }
        let row0 = (1...4).map { Float($0) * 3 }
        let row1 = (5...8).map { Float($0) * 4 }
        let expected = row0 + row1 + row0 + row1 + row1 + row1
        #expect(relativeError(tensor.elements(as: Float.self), expected) < 1e-6)
      }
    }
    #expect(
      source.pulled == ["x.weight", "router.weight", "experts.1.weight", "experts.3.weight"]
    )
  }

  @Test func allExpertsMayBeChosenByOneToken() throws {
    let (model, source) = try model(chosen: 5, logits: [[0, 0, 0, 0, 0]])
    try Executor(model).run(tokens: [[0]], names: ["logits"]) { _, operand in
      // The mean of 1 to 5 is 3.
      let found = operand.copied().elements(as: Float.self)
      #expect(relativeError(found, [3, 6, 9, 12]) < 1e-6)
    }
    #expect(source.pulled.count == 7)
  }

  @Test func aRunInStagesGivesTheSame() throws {
    let (model, _) = try model(
      chosen: 2,
      logits: [[1, 2, 3, 4, 5], [5, 4, 3, 2, 1], [0, 9, 0, 9, 0]]
    )
    let executor = Executor(model)
    let window: [Int32] = [2, 0, 1, 1]
    var staged = try StagedRun(executor, windows: [window])
    let logits = try executor.value(named: "logits")
    var found: Tensor?
    for stage in model.graph.stages {
      try staged.run(stage, wanted: stage.places.contains(logits.node) ? [logits] : []) {
        found = $2.copied()
      }
    }
    #expect(found?.isIdentical(to: try executor.logits(window)) == true)
  }

  @Test func laterTokensAreNotThereInARunWithACache() throws {
    let tracer = Tracer()
    let ids = tracer.input("input_ids", ValueType(.i32, [.batch, .length]))
    let table = (tracer.root / "table").parameter("weight", 9, 1)
    let later = ids.through(.laterTokens(LaterTokens(distance: 2)), at: tracer.root)
    tracer.name(later.through(.embedding(Embedding()), table, at: tracer.root), "ahead")
    let source = MemorySource([
      "table.weight": Tensor((0..<9).map(Float.init), shape: [9, 1])
    ])
    let executor = Executor(Model(graph: try tracer.finish(), source: source))
    try executor.run(tokens: [[3, 1, 4, 1], [5, 8, 2, 6]], names: ["ahead"]) { _, operand in
      #expect(operand.copied().elements(as: Float.self) == [4, 1, 1, 1, 2, 6, 6, 6])
    }
    try executor.run(tokens: [[7]], names: ["ahead"]) { _, operand in
      #expect(operand.copied().elements(as: Float.self) == [7])
    }
    #expect(
      message {
        try executor.run(tokens: [[1]], cache: KeyValueCache(batch: 1), names: ["ahead"]) { _, _ in
        }
      }
        == "predictions of later tokens read the tokens in between, which a run with a cache does not hold. Run whole sequences."
    )
  }
}
