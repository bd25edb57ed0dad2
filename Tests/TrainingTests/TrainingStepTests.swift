import Foundation
import KaratEngine
import KaratGraphs
import KaratKernels
import KaratModels
import KaratTensors
import KaratTestSupport
import Testing

/// Gradients and steps against PyTorch's in float64, from the same weights and tokens.
@Suite struct TrainingSteps {
  static let families = ["llama-tiny", "qwen2-tiny", "qwen3-moe-tiny", "deepseek-v3-tiny"]

  @Test(arguments: families, [false, true])
  func gradientsAgree(_ name: String, isCheckpointing: Bool) throws {
    let training = try ReferenceTraining(name)
    let task = try training.task(isCheckpointing: isCheckpointing)
    let loss = try task.accumulate([0, 1], factor: 1 / Float(training.predicted))[0]
    let expected = try #require(training.losses.first)
    #expect(abs(loss / training.predicted - expected) < 1e-5)
    for (name, wanted) in try training.tensors("grad") {
      let found = training.stacked(name, task.parameters, \.gradient)
      #expect(distance(found, wanted) < 1e-4 * length(wanted), "\(name)")
    }
  }

  @Test(arguments: families)
  func tenStepsOfAdamWAgree(_ name: String) throws {
    let training = try ReferenceTraining(name)
    let task = try training.task()
    task.hooks.groups.decays = { _ in true }
    let before = try training.tensors("after10").map { (name, _) in
      (name, training.stacked(name, task.parameters, \.values))
    }
    var options = TrainingOptions()
    (options.steps, options.batch, options.microBatch) = (10, 2, 2)
    (options.learningRate, options.weightDecay, options.clip) = (1e-3, 0.01, 0)
    (options.warmup, options.decay) = (0, .constant)
    var losses: [Double] = []
    try Trainer(task, options, seed: 1, on: .automatic).run { losses.append($0.loss) }
    #expect(losses.count == 10)
    for (found, wanted) in zip(losses, training.losses) { #expect(abs(found - wanted) < 1e-5) }
    for ((name, wanted), (_, start)) in zip(try training.tensors("after10"), before) {
      let found = training.stacked(name, task.parameters, \.values)
      let change = distance(wanted, start)
      #expect(distance(found, wanted) < 1e-3 * change, "\(name)")
    }
  }
}

/// A batch, its losses, gradients and steps as PyTorch has them, and the model that they are of.
private struct ReferenceTraining {
  let model: Model
  let windows: [[Int32]]
  let losses: [Double]
  private let expected: Expected
  private let source: any TensorSource

  init(_ name: String) throws {
    model = try LoadedModel.open(fixture(name)).model
    expected = try Expected("training/\(name).safetensors")
    source = expected.source
    windows = try expected.ids("input_ids")
    losses = try source.tensor("losses").elements(as: Double.self)
  }

  /// How many tokens are predicted.
  var predicted: Double { Double(windows.reduce(0) { $0 + $1.count - 1 }) }

  func task(isCheckpointing: Bool = false) throws -> DecoderTask {
    let parameters = try ParameterSet(model.graph, model.source, on: .automatic) { name in
      !name.text.hasSuffix("e_score_correction_bias")
    }
    let task = try DecoderTask(
      model.graph,
      parameters,
      windows: windows,
      head: try HeadLoss(model.graph),
      on: .automatic
    )
    task.differentiator.isCheckpointing = isCheckpointing
    return task
  }

  /// The tensors whose names begin so, under their names in the model.
  func tensors(_ prefix: String) throws -> [(name: String, [Float])] {
    let names = source.manifest.names.filter { $0.text.hasPrefix(prefix + ".") }
    #expect(names.count > 20)
    return try names.map { (String($0.text.dropFirst(prefix.count + 1)), try expected.floats($0)) }
  }

  /// A parameter's numbers, or those of all experts, stacked as the reference has them.
  func stacked(
    _ name: String,
    _ parameters: ParameterSet,
    _ numbers: (ParameterSet.Item) -> UnsafeMutablePointer<Float>?
  ) -> [Float] {
    func array(_ name: String) -> [Float] {
      let item = parameters[TensorName(name)]
      return numbers(item).map { Array(UnsafeBufferPointer(start: $0, count: item.count)) } ?? []
    }
    guard let range = name.range(of: ".experts.") else { return array(name) }
    let prefix = name[..<range.upperBound]
    let count = parameters.items.count {
      $0.name.text.hasPrefix(prefix) && $0.name.text.hasSuffix("down_proj.weight")
    }
    let parts = name.hasSuffix("gate_up_proj") ? ["gate_proj", "up_proj"] : ["down_proj"]
    return (0..<count).flatMap { expert in
      parts.flatMap { array("\(prefix)\(expert).\($0).weight") }
    }
  }
}

private func length(_ x: [Float]) -> Double {
  x.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
}

private func distance(_ a: [Float], _ b: [Float]) -> Double {
  guard a.count == b.count else { return .infinity }
  return length(zip(a, b).map { $0 - $1 })
}
