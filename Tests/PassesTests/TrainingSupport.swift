import Karat
import KaratEngine
import KaratGraphs
import KaratKernels
import KaratPasses
import KaratTensors
import KaratTestSupport
import Testing

// What tests of passes that train share.

/// Tokens of which some come more often than others, as in a text.
func tokens(of model: LoadedModel, count: Int) -> [Int32] {
  var numbers = Numbers(seed: 21)
  let vocabulary = UInt64(model.config["vocab_size"]?.int ?? 300)
  return (0..<count).map { _ in
    Int32(
      min(
        numbers.next() % vocabulary,
        min(numbers.next() % vocabulary, numbers.next() % vocabulary)
      )
    )
  }
}

/// What a pass is given beside the model: random tokens, and the model itself as the teacher.
func context(of model: LoadedModel, tokens count: Int) -> PassContext {
  var context = PassContext(calibrationTokens: tokens(of: model, count: count))
  context.calibrationName = "text"
  context.reference = model.model
  return context
}

/// The tokens of a text that is in the fixtures.
func text(of model: LoadedModel) throws -> [Int32] {
  let text = try TextFile(fixture("text/botchan-calibration.txt")).text
  return try model.tokenizer().encode(text, addSpecialTokens: false)
}

extension Array {
  func chunks(of size: Int) -> [[Element]] {
    stride(from: 0, through: count - size, by: size).map { Array(self[$0..<$0 + size]) }
  }
}

/// A model after calibration, with its weights and activations quantized.
func quantize(
  _ model: LoadedModel,
  _ activations: QuantizeActivations?
) throws -> LoadedModel {
  var context = context(of: model, tokens: 512)
  context.ignored = try LayerFilter(["lm_head", #"re:.*\.kv_b_proj$"#])
  var calibrate = Calibrate(observer: .minmax)
  (calibrate.windows, calibrate.length) = (8, 32)
  var result = model
  let passes: [any Pass] = [calibrate, QuantizeWeights()] + (activations.map { [$0] } ?? [])
  for pass in passes { result.model = try pass.apply(to: result.model, in: context) }
  return result
}
