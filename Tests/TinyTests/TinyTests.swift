import Foundation
import Karat
import KaratGraphs
import KaratTestSupport
import Testing

// The first page to read: what Karat is made of, from a tensor to the whole river, each test a
// little longer than the one before.

@Suite struct Tiny {
  @Test func aTensorIsElementsInRows() {
    let tensor = Tensor([1, 2, 3, 4, 5, 6], shape: [2, 3])
    #expect(tensor.dtype == .f32)
    #expect(tensor.byteCount == 24)
    #expect(tensor.rows(1..<2).elements(as: Float.self) == [4, 5, 6])
  }

  @Test func namesAreUniqueByTheirBytes() {
    // One scalar and two: one text for people, two tensors in a file.
    let (composed, decomposed) = ("caf\u{e9}.weight", "cafe\u{301}.weight")
    #expect(composed == decomposed)
    #expect(TensorName(composed) != TensorName(decomposed))
    let source = MemorySource([
      TensorName(composed): Tensor([1]), TensorName(decomposed): Tensor([2]),
    ])
    #expect(source.manifest.count == 2)
  }

  @Test func aQuantizationRangeGivesZeroACodeOfItsOwn() {
    let range = QuantizationRange(spanning: -1, 3)
    #expect(range.scale == 4.0 / 255)
    #expect(range.zeroPoint == -64)  // −128 + 1 / scale = −64.25
    #expect(range.scale * Float(-64 - Int(range.zeroPoint)) == 0)
    #expect(abs(range.lower - -1) <= range.scale / 2)
    #expect(abs(range.upper - 3) <= range.scale / 2)
  }

  /// A layer with two input and three output features, as a graph.
  private func oneLayer() throws -> Graph {
    let tracer = Tracer()
    let x = tracer.input("x", ValueType(.f32, [.batch, .fixed(2)]))
    tracer.name(linear(x, tracer.root / "layer", 2, 3, bias: true), "y")
    return try tracer.finish()
  }

  /// What a graph gives for one row.
  private func run(_ graph: Graph, _ source: MemorySource, x: [Float]) throws -> [Float] {
    let executor = Executor(Model(graph: graph, source: source))
    let (input, output) = (try executor.value(named: "x"), try executor.value(named: "y"))
    var y: [Float] = []
    try executor.run(
      given: [input: Tensor(x, shape: [1, x.count])],
      binding: Binding(batch: 1, length: 1),
      wanted: [output]
    ) { _, operand in y = operand.copied().elements(as: Float.self) }
    return y
  }

  @Test func aGraphIsTracedPrintedAndRun() throws {
    let graph = try oneLayer()
    #expect(
      graph.description == """
        %0 = input(label: x) : F32[batch, 2]
        %1 = parameter(tensor: 'layer.weight') : F32[3, 2]  @ layer
        %2 = parameter(tensor: 'layer.bias') : F32[3]  @ layer
        %3 = linear(%0, %1, %2) : F32[batch, 3]  @ layer
        x: %0
        y: %3
        """
    )
    let source = MemorySource([
      "layer.weight": Tensor([1, 2, 3, 4, 5, 6], shape: [3, 2]),
      "layer.bias": Tensor([0.5, 0, -1]),
    ])
    #expect(try run(graph, source, x: [1, -2]) == [-2.5, -5, -8])
  }

  @Test func anIntegerLayerGivesWhatTheHandComputes() throws {
    let graph = try oneLayer()
      .withQuantizedWeights(of: ["layer"], .int8Weights)
      .withQuantizedActivations(leaders: ["layer": "layer"], .int8Activations)
    #expect(graph.description.contains("integer_linear"))
    let source = MemorySource([
      "layer.weight": Tensor(.i8, [3, 2], copying: [1, 2, -3, 4, 127, -127] as [Int8]),
      "layer.weight_scale": Tensor([0.5, 0.25, 1], shape: [3, 1]),
      "layer.input_scale": Tensor([0.5]),
      "layer.input_zero_point": Tensor(.i8, [1], copying: [-10] as [Int8]),
      "layer.bias": Tensor([0.5, 0, -1]),
    ])
    // The codes of x are 1 / 0.5 − 10 and −0.5 / 0.5 − 10: two steps above zero and one below.
    let steps: [Float] = [2 * 1 - 1 * 2, 2 * -3 - 1 * 4, 2 * 127 + 1 * 127]
    let byHand: [Float] = [
      0.5 * 0.5 * steps[0] + 0.5, 0.5 * 0.25 * steps[1], 0.5 * 1 * steps[2] - 1,
    ]
    #expect(try run(graph, source, x: [1, -0.5]) == byHand)
  }

  @Test func aTinyLlamaGivesTheExpectedLogits() throws {
    let expected = try Expected("llama-tiny/expected.safetensors")
    let model = try LoadedModel.open(fixture("llama-tiny"))
    let executor = Executor(model.model)
    let logits = try expected.ids("input_ids").flatMap { ids in
      try executor.logits(ids).elements(as: Float.self)
    }
    #expect(relativeError(logits, try expected.floats("logits")) < 2e-5)
  }

  @Test func theRiver() throws {
    try inTemporaryFolder { folder in
      // Convert: a checkpoint flows from file to file, one tensor at a time.
      try Conversion(fixture("alice"), dtype: .f32)
        .write(folder + "/float", as: .folder, ModelWriter())
      let float = try LoadedModel.open(folder + "/float")

      // Quantize: a recipe is passes in order, each a model in and a model out.
      var calibrate = Calibrate()
      (calibrate.windows, calibrate.length) = (16, 64)
      let recipe = Recipe(
        passes: [calibrate, QuantizeWeights(), QuantizeActivations()],
        ignored: ["lm_head"]
      )
      let text = try TextFile(fixture("text/botchan-calibration.txt")).text
      var pipeline = Pipeline(recipe)
      pipeline.calibration = try float.tokenizer().encode(text, addSpecialTokens: false)
      let quantized = try pipeline.run(float).model
      try ModelWriter().write(
        quantized,
        from: float,
        record: ModelRecord(command: "quantize"),
        to: folder + "/int8"
      )

      // Open what was written: integers run as they were found.
      let int8 = try LoadedModel.open(folder + "/int8")
      #expect(int8.byteCount < float.byteCount / 2)

      // Verify: both models side by side over text that neither has seen.
      let heldOut = try TextFile(fixture("text/botchan-heldout.txt")).text
      let windows = try TokenWindows(
        measuring: try int8.tokenizer().encode(heldOut, addSpecialTokens: false),
        length: 64,
        limit: 32,
        name: "heldout"
      )
      let findings = try Verifier(maximumDrop: 0.1).compare(
        Verifier.Subject(Executor(float.model), byteCount: float.byteCount),
        Verifier.Subject(Executor(int8.model), byteCount: int8.byteCount),
        windows: windows.windows
      )
      #expect(findings.tokens == 32 * 63)
      #expect(findings.ratio.ratio < 1.1)
      #expect(findings.divergence.mean > 0)
      #expect(findings.verdict == .pass)
    }
  }
}
