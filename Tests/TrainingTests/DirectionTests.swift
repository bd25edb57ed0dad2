import KaratEngine
import KaratGraphs
import KaratKernels
import KaratModels
import KaratTensors
import KaratTestSupport
import Testing

/// The gradient of whole models, against what a small step along a random direction does to the loss.
@Suite struct Directions {
  @Test(arguments: [
    "deepseek-v2-groups-tiny", "deepseek-v2-tiny", "llama3-rope-tiny", "mistral-tiny",
    "mixtral-one-expert-tiny", "mixtral-tiny", "mixtral-window-tiny", "qwen3-moe-edge-tiny",
    "qwen3-tiny",
  ])
  func decoders(_ name: String) throws {
    let model = try LoadedModel.open(fixture(name)).model
    let windows = try Expected("\(name)/expected.safetensors").ids("input_ids")
    let parameters = try ParameterSet(model.graph, model.source, on: .automatic) { name in
      // What a router reads may send tokens to other experts, where the loss jumps: of mixtures the
      // last layer's experts and what follows learn. Routers are compared with PyTorch's.
      model.graph.routers.isEmpty
        || [
          "layers.2.mlp.experts", "layers.2.mlp.shared", "layers.2.block_sparse_moe.experts",
          "model.norm", "lm_head",
        ].contains { name.text.contains($0) }
    }
    let task = try DecoderTask(
      model.graph,
      parameters,
      windows: windows,
      head: try HeadLoss(model.graph),
      on: .automatic
    )
    try check(task, parameters, Array(windows.indices))
  }

  /// Through pooling and vectors of length 1, states on the way, and padding.
  @Test func encoders() throws {
    let model = try LoadedModel.open(fixture("bert-tiny")).model
    let texts: [[Int32]] = [[2, 5, 9, 30, 7], [2, 8, 3]]
    let teacher = TeacherStates(
      Executor(model),
      ["sentence_embedding", "hidden_after_layer_0"].compactMap { model.graph.named[$0] }
    )
    let parameters = try ParameterSet(model.graph, model.source, on: .automatic) { _ in true }
    // The student is the teacher moved a little, so that there is something to learn.
    var numbers = Numbers(seed: 5)
    for item in parameters.items {
      for index in 0..<item.count { item.values[index] += numbers.floats(1, size: 0.02)[0] }
    }
    let values = try ["sentence_embedding", "hidden_after_layer_0"].map {
      try #require(model.graph.named[$0])
    }
    let task = try EncoderTask(
      model.graph,
      parameters,
      texts: texts,
      losses: [
        StateLoss("vectors", values[0], .cosine, weight: 1, isPerSequence: true) {
          teacher[values[0]]
        },
        StateLoss("states", values[1], .meanSquare, weight: 0.5, isPerSequence: true) {
          teacher[values[1]]
        },
      ],
      on: .automatic
    ) { try teacher.run($0) }
    try check(task, parameters, [0, 1])
  }

  private func check(
    _ task: any TrainingTask,
    _ parameters: ParameterSet,
    _ examples: [Int]
  ) throws {
    func loss() throws -> Double {
      let found = try task.accumulate(examples, factor: 1)
      return zip(task.losses, found).reduce(0) { $0 + $1.0.weight * $1.1 }
    }
    let size = try loss()
    var numbers = Numbers(seed: 11)
    // Along the gradient itself the loss changes most, and rounding least.
    let gradients = parameters.trained.map { item in
      (0..<item.count).map { item.gradient?[$0] ?? 0 }
    }
    let length = gradients.joined().reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    try #require(length > 1e-3)
    let direction = gradients.map {
      $0.map { Float(Double($0) / length) * (numbers.next() % 8 == 0 ? 0 : 1) }
    }
    let expected = zip(gradients.joined(), direction.joined()).reduce(0.0) {
      $0 + Double($1.0) * Double($1.1)
    }
    func moved(by step: Float) throws -> Double {
      for (item, part) in zip(parameters.trained, direction) {
        for index in 0..<item.count { item.values[index] += step * part[index] }
      }
      defer {
        for (item, part) in zip(parameters.trained, direction) {
          for index in 0..<item.count { item.values[index] -= step * part[index] }
        }
      }
      return try loss()
    }
    // Large enough to be seen in float32, small enough to be straight.
    let step = Float(0.001 * size / length)
    let found = (try moved(by: step) - moved(by: -step)) / Double(2 * step)
    #expect(abs(found - expected) < 0.01 * abs(expected), "\(found), not \(expected)")
  }
}
