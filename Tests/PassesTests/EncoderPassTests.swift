import Karat
import KaratGraphs
import KaratPasses
import KaratTensors
import KaratTestSupport
import Testing

/// Passes on an encoder, as on decoders.
@Suite struct EncoderPasses {
  private let texts = (0..<60).map { index in
    [2] + tokens(3 + index % 20, below: 320, seed: UInt64(index)) + [3]
  }

  private var context: PassContext {
    PassContext(calibrationSequences: texts, calibrationName: "c.txt")
  }

  /// How far the vectors of texts are apart, over the largest number in them.
  private func error(_ found: Model, _ wanted: Model) throws -> Float {
    relativeError(
      Array(try Executor(found).embeddings(texts).joined()),
      Array(try Executor(wanted).embeddings(texts).joined())
    )
  }

  @Test func onlyWhatNothingElseReadsIsSmoothed() throws {
    let graph = try model("bert-tiny").graph
    let groups = graph.smoothingGroups(among: graph.linearLayers)
    // What LayerNorm gives goes into the residual stream as well, and GELU is not linear: of each
    // block, the values alone pass through to the layer behind attention.
    #expect(
      groups.map { $0.layers.map(\.path.text) }
        == (0..<3).map { ["encoder.layer.\($0).attention.output.dense"] }
    )
  }

  @Test func smoothingChangesNothingThatIsComputed() throws {
    let original = try model("bert-tiny")
    var smooth = SmoothQuant()
    smooth.alpha = .fixed(0.7)
    let smoothed = try smooth.apply(to: original, in: context)
    let name: TensorName = "encoder.layer.1.attention.self.value.bias"
    #expect(
      try !smoothed.source.tensor(name).isIdentical(to: original.source.tensor(name))
    )
    #expect(try error(smoothed, original) < 1e-5)
  }

  /// LayerNorm's weight and bias take the division where layers alone read it.
  @Test func aNormWithABiasIsFolded() throws {
    let tracer = Tracer()
    let w = tracer.root
    let ids = tracer.input("input_ids", ValueType(.i32, [.batch, .length]))
    let x = embedding(ids, w / "table", rows: 5, features: 4)
    let normed = x.through(
      .layerNorm(LayerNorm(epsilon: 1e-5)),
      (w / "norm").parameter("weight", 4),
      (w / "norm").parameter("bias", 4),
      at: w / "norm"
    )
    tracer.name(linear(normed, w / "out", 4, 3), "logits")
    var random = Numbers(seed: 9)
    func tensor(_ shape: Shape) -> Tensor {
      Tensor(
        (0..<shape.elementCount).map { _ in Float.random(in: -2...2, using: &random) },
        shape: shape
      )
    }
    let original = Model(
      graph: try tracer.finish(),
      source: MemorySource([
        "table.weight": tensor([5, 4]), "norm.weight": tensor([4]), "norm.bias": tensor([4]),
        "out.weight": tensor([3, 4]),
      ])
    )
    var smooth = SmoothQuant()
    smooth.alpha = .fixed(0.5)
    smooth.length = 8
    let smoothed = try smooth.apply(
      to: original,
      in: PassContext(calibrationTokens: tokens(64, below: 5, seed: 1))
    )
    for name: TensorName in ["norm.weight", "norm.bias", "out.weight"] {
      #expect(try !smoothed.source.tensor(name).isIdentical(to: original.source.tensor(name)))
    }
    let all: [Int32] = [0, 1, 2, 3, 4]
    let found = try Executor(smoothed).logits(all).elements(as: Float.self)
    let wanted = try Executor(original).logits(all).elements(as: Float.self)
    #expect(relativeError(found, wanted) < 1e-6)
  }

  @Test(arguments: ["int8", "int8-weights"])
  func presetsRun(_ preset: String) throws {
    let original = try LoadedModel.open(fixture("bert-tiny"))
    let recipe = try #require(Recipe.presets.first { $0.name == preset }?.recipe)
    var pipeline = Pipeline(recipe)
    pipeline.calibrationSequences = texts
    pipeline.heldOutTexts = EmbeddingTexts(texts)
    pipeline.maximumDrop = 0.01
    let outcome = try pipeline.run(original)
    #expect(outcome.isComplete)
    #expect(outcome.last?.verdict == .pass)
    let difference = try error(outcome.model, original.model)
    #expect(difference > 0 && difference < 0.05)
    try inTemporaryFolder { folder in
      for form in [ModelForm.folder, .kcf] {
        let path = folder + (form == .kcf ? "/q.kcf" : "/q")
        try ModelWriter().write(
          outcome.model,
          from: original,
          record: ModelRecord(command: "test"),
          to: path,
          as: form
        )
        let written = try LoadedModel.open(path)
        #expect(try error(written.model, outcome.model) < 1e-6)
      }
    }
  }

  /// The scale of a range does not depend on how texts are put together: padding is never seen.
  @Test func rangesAreThoseOfTheTokensAlone() throws {
    let original = try model("bert-tiny")
    let found = try Calibrate(observer: .minmax).apply(to: original, in: context).calibration
    let range = try #require(found?.ranges["encoder.layer.0.attention.self.query"])
    var (low, high) = (Float(0), Float(0))
    let executor = Executor(original)
    let layer = try #require(
      original.graph.linearLayers.first { $0.path == "encoder.layer.0.attention.self.query" }
    )
    for text in texts {
      let batch = try executor.given(TokenBatch([text]))
      try executor.run(
        given: batch,
        binding: Binding(batch: 1, length: text.count),
        wanted: [layer.input]
      ) { _, operand in
        for number in operand.copied().elements(as: Float.self) {
          (low, high) = (min(low, number), max(high, number))
        }
      }
    }
    #expect(abs(range.scale - (high - low) / 255) < 1e-6)
  }
}
