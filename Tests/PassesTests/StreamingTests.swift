import Karat
import KaratEngine
import KaratKernels
import KaratPasses
import KaratTensors
import KaratTestSupport
import Testing

/// What is computed run by run is what is computed at once.
@Suite struct StreamingTests {
  @Test(arguments: [DType.f32, .f16, .bf16])
  func castsOfRuns(_ target: DType) throws {
    let source = try SafetensorsReader(fixture("alice/model.safetensors"))
    let cast = source.cast(to: target, file: "alice")
    for name in source.manifest.names {
      let whole = try cast.tensor(name)
      let count = whole.shape.elementCount
      #expect(cast.isDivisible(name))
      for range in [0..<count, 0..<count / 2, count / 3..<count, count / 2..<count / 2] {
        #expect(try cast.elements(range, of: name).isIdentical(to: whole.elements(range)))
      }
    }
  }

  @Test func aNumberThatBecomesInfiniteIsRefusedInAnyType() throws {
    func cast(_ number: Double, _ target: DType) -> String? {
      let source = MemorySource(["a": Tensor(.f64, [3], copying: [1, number, -.infinity])])
      return message { _ = try source.cast(to: target, file: "m").tensor("a") }
    }
    #expect(cast(65519, .f16) == nil)
    #expect(
      cast(-65520, .f16)
        == "m, 'a': it holds numbers beyond 65504, the largest of F16, which would become"
        + " infinite. Use bf16 or f32."
    )
    #expect(cast(3.3961775292304957e38, .bf16)?.contains("3.39e38") == true)
    #expect(cast(3.39e38, .bf16) == nil)
    #expect(cast(1e39, .f32)?.contains("Use its own type.") == true)
    #expect(cast(.infinity, .f16) == nil)
    #expect(cast(.nan, .f16) == nil)
  }

  @Test func scalesAndRouterBiasesAreNotNarrowed() {
    let names: [TensorName] = ["w_scale_inv", "a.weight_scale", "mlp.gate.e_score_correction_bias"]
    let source = MemorySource(Dictionary(uniqueKeysWithValues: names.map { ($0, Tensor([0.1])) }))
    let cast = source.cast(to: .bf16, file: "m")
    for name in names { #expect(cast.manifest[name]?.dtype == .f32, "\(name)") }
    #expect(source.cast(to: .f32, file: "m").manifest.names.count == 3)
  }

  @Test func codesOfRunsAreThoseOfTheWholeWeight() throws {
    let model = try LoadedModel.open(fixture("llama-tiny")).model
    let context = PassContext(ignored: try LayerFilter(["lm_head"]))
    let quantized = try QuantizeWeights().apply(to: model, in: context).source
    for name in quantized.manifest.names where quantized.manifest[name]?.dtype == .i8 {
      let whole = try quantized.tensor(name)
      let count = whole.shape.elementCount
      #expect(quantized.isDivisible(name))
      for range in [0..<7, 5..<count - 3, count - 1..<count] {
        #expect(
          try quantized.elements(range, of: name).isIdentical(to: whole.elements(range)),
          "\(name) \(range)"
        )
      }
    }
  }
  /// Scales that do not fit in their part of the budget go to a file, and weights are read twice all the
  /// same: for their scales, and for their codes.
  @Test(arguments: [nil, 1 << 30, 20_000])
  func scalesAreFoundOnce(_ bytes: Int?) throws {
    let model = try LoadedModel.open(fixture("llama-tiny")).model
    let counter = CountingSource(model.source)
    let memory = bytes.map { MemoryBudget(bytes: $0) }
    let context = PassContext(ignored: try LayerFilter(["lm_head"]), memory: memory)
    let quantized = try QuantizeWeights()
      .apply(to: Model(graph: model.graph, source: counter), in: context).source
    let expected = try QuantizeWeights()
      .apply(to: model, in: PassContext(ignored: try LayerFilter(["lm_head"]))).source
    let codes = quantized.manifest.names.filter { quantized.manifest[$0]?.dtype == .i8 }
    let scales = quantized.manifest.names.filter { $0.text.hasSuffix("_scale") }
    let elements = codes.reduce(0) { $0 + (quantized.manifest[$1]?.shape.elementCount ?? 0) }
    #expect(codes.count == scales.count && codes.count > 14)
    for name in codes + scales + scales {
      #expect(try quantized.tensor(name).isIdentical(to: expected.tensor(name)), "\(name)")
    }
    #expect(counter.pulled == 2 * elements)
  }
}
