import Karat
import KaratEngine
import KaratGraphs
import KaratKernels
import KaratPasses
import KaratTensors
import KaratTestSupport
import Testing

/// What steps learn from, and what they leave alone.
@Suite struct TrainingExamples {
  private func texts(_ count: Int) -> [[Int32]] {
    var numbers = Numbers(seed: 2)
    return (0..<count).map { _ in
      (0..<(4 + Int(numbers.next() % 9))).map { _ in Int32(numbers.next() % 300) }
    }
  }

  private func losses(
    _ name: String,
    _ change: (inout Distil) -> Void,
    _ give: (inout Pipeline, LoadedModel) -> Void
  ) throws -> [Double] {
    let teacher = try LoadedModel.open(fixture(name))
    var pass = Distil()
    change(&pass)
    let archive = MemoryArchive()
    var pipeline = Pipeline(Recipe(passes: [pass], seed: 3))
    pipeline.archive = archive
    give(&pipeline, teacher)
    _ = try pipeline.run(teacher)
    return archive["1-distil"].metrics.map(\.loss)
  }

  /// Windows of one length meet others in each epoch.
  @Test func epochsHaveOtherBatches() throws {
    let losses = try losses("llama-tiny") { pass in
      (pass.layers, pass.training.learningRate) = (2, 1e-30)
      (pass.training.steps, pass.training.batch, pass.training.length) = (32, 4, 16)
    } _: { pipeline, teacher in
      pipeline.calibration = tokens(of: teacher, count: 64 * 16)
    }
    #expect(Set(losses).count == 32)
  }

  /// A text counts as one, however many run together.
  @Test(arguments: [(1.0, 0.0), (0.0, 1.0)])
  func textsCountAlike(_ states: Double, _ relations: Double) throws {
    func first(_ microBatch: Int) throws -> Double {
      try losses("bert-tiny") { pass in
        (pass.keepLayers, pass.states, pass.relations) = ([0, 2], states, relations)
        (pass.training.steps, pass.training.batch, pass.training.microBatch) = (1, 8, microBatch)
      } _: { pipeline, _ in
        pipeline.calibrationSequences = texts(8)
      }[0]
    }
    let (one, all) = (try first(1), try first(8))
    #expect(abs(one - all) < 1e-5 * one, "\(one) and \(all)")
  }

  /// Embeddings of an encoder learn where that is asked for alone.
  @Test(arguments: [false, true])
  func embeddingsLearnWhereTheyAreAskedTo(_ areAsked: Bool) throws {
    let model = try LoadedModel.open(fixture("bert-tiny"))
    var context = context(of: model, tokens: 64)
    context.calibrationSequences = texts(8)
    var pass = QuantizationAwareTraining()
    (pass.embeddings, pass.training.steps, pass.training.learningRate) = (areAsked, 2, 1e-3)
    let quantized = try QuantizeWeights().apply(to: model.model, in: context)
    let trained = try pass.apply(to: quantized, in: context)
    for name in ["word_embeddings", "position_embeddings", "token_type_embeddings"] {
      let tensor = TensorName("embeddings.\(name).weight")
      let (own, whole) = (try trained.source.tensor(tensor), try model.model.source.tensor(tensor))
      let isSame = own.asFloat32(on: .automatic).isIdentical(to: whole.asFloat32(on: .automatic))
      #expect(isSame != areAsked, "\(name)")
    }
  }
}
