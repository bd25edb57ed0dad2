import Foundation
import Karat
import KaratTestSupport
import Testing

/// The folder of real models that `make models` fetches.
private let models = ProcessInfo.processInfo.environment["KARAT_MODELS"]

/// SmolLM2-135M-Instruct, read from its GGUF, against transformers in float32.
@Suite(.enabled(if: models != nil, "KARAT_MODELS names no folder of models: see make models"))
struct RealModel {
  private func smollm2() throws -> LoadedModel {
    try LoadedModel.open((models ?? ".") + "/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
  }

  @Test func heldOutLossesAgreeForEachToken() throws {
    let expected = try Expected("smollm2/expected.safetensors")
    let losses = try heldOutLosses(
      Executor(try smollm2().model),
      try expected.ids("heldout_ids")
    )
    let wanted = try expected.floats("heldout_nll")
    #expect(losses.count == 32 * 511)
    let worst = zip(losses, wanted).reduce(0) { max($0, abs($1.0 - Double($1.1))) }
    #expect(worst < 2e-3)
    let perplexity = exp(losses.reduce(0, +) / Double(losses.count))
    #expect(abs(perplexity - 36.09) < 0.02)
  }

  @Test func theGreedyContinuationIsTheSame() throws {
    let expected = try Expected("smollm2/expected.safetensors")
    let (prompt, whole) = (try expected.ids("prompt_ids")[0], try expected.ids("greedy_ids")[0])
    let executor = Executor(try smollm2().model)
    var tokens = prompt
    try executor.generate(
      prompt: prompt,
      maximumTokens: whole.count - prompt.count,
      sampling: Sampling(),
      stops: []
    ) { token in
      tokens.append(token)
      return true
    }
    #expect(tokens == whole)
    let last = try executor.logits(prompt).elements(as: Float.self).suffix(49152)
    #expect(relativeError(Array(last), try expected.floats("prompt_logits_last")) < 1e-4)
  }

  @Test func textBecomesTheExpectedTokens() throws {
    let expected = try Expected("smollm2/expected.safetensors")
    let tokenizer = try smollm2().tokenizer()
    let prompt = try expected.ids("prompt_ids")[0]
    #expect(tokenizer.encode(tokenizer.decode(prompt), addSpecialTokens: false) == prompt)
    let text = try TextFile(fixture("text/botchan-heldout.txt")).text
    let ids = tokenizer.encode(text, addSpecialTokens: false)
    #expect(Array(ids.prefix(32 * 512)) == (try expected.ids("heldout_ids").flatMap(\.self)))
  }
}
