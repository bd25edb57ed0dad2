import Foundation
import Karat
import KaratEngine
import KaratTestSupport
import Testing

/// Models against what transformers computed for the same weights and tokens in float32.
@Suite struct Reference {
  @Test(arguments: [
    "alice", "deepseek-v2-groups-tiny", "deepseek-v2-tiny", "deepseek-v3-mtp-tiny",
    "deepseek-v3-tiny", "llama-tiny", "llama3-rope-tiny", "mistral-tiny",
    "mixtral-one-expert-tiny", "mixtral-tiny", "mixtral-window-tiny", "qwen2-tiny",
    "qwen3-moe-edge-tiny", "qwen3-moe-tiny", "qwen3-tiny",
  ])
  func logitsAndHiddenStatesAgree(_ name: String) throws {
    let expected = try Expected("\(name)/expected.safetensors")
    let executor = Executor(try LoadedModel.open(fixture(name)).model)
    let names = [
      "logits": "logits", "hidden_after_layer_0": "hidden_after_layer_0",
      "last_hidden_state": "hidden_last",
    ].filter { expected.has(TensorName($0.value)) }
    #expect(names.count == (name == "alice" ? 1 : name == "mixtral-one-expert-tiny" ? 2 : 3))
    var shown: Set<String> = []
    try executor.run(
      tokens: try expected.ids("input_ids"),
      names: names.keys.sorted()
    ) { value, operand in
      shown.insert(value)
      let found = operand.copied().elements(as: Float.self)
      let wanted = try expected.floats(TensorName(names[value] ?? ""))
      #expect(relativeError(found, wanted) < 2e-5, "\(value)")
    }
    #expect(shown == Set(names.keys))
  }

  @Test(arguments: [
    "deepseek-v2-tiny", "deepseek-v3-tiny", "llama-tiny", "llama3-rope-tiny", "mistral-tiny",
    "mixtral-tiny", "qwen2-tiny", "qwen3-moe-edge-tiny", "qwen3-tiny",
  ])
  func aSequenceGivesTheSameAloneAndInABatch(_ name: String) throws {
    let ids = try Expected("\(name)/expected.safetensors").ids("input_ids")
    let executor = Executor(try LoadedModel.open(fixture(name)).model)
    var together: [Float] = []
    try executor.run(tokens: ids, names: ["logits"]) { _, operand in
      together = operand.copied().elements(as: Float.self)
    }
    let alone = try ids.flatMap { try executor.logits($0).elements(as: Float.self) }
    #expect(relativeError(alone, together) < 1e-5)
  }

  /// The whole sequence at once, and in steps of several sizes after which keys and values are kept.
  @Test(arguments: [
    "deepseek-v2-groups-tiny", "deepseek-v2-tiny", "deepseek-v3-mtp-tiny", "deepseek-v3-tiny",
    "llama-tiny", "llama3-rope-tiny", "mistral-tiny", "mixtral-one-expert-tiny", "mixtral-tiny",
    "mixtral-window-tiny", "qwen2-tiny", "qwen3-moe-edge-tiny", "qwen3-moe-tiny", "qwen3-tiny",
  ])
  func aCacheGivesTheSameAsTheWholeSequence(_ name: String) throws {
    let ids = try Expected("\(name)/expected.safetensors").ids("input_ids")
    let executor = Executor(try LoadedModel.open(fixture(name)).model)
    #expect(relativeError(try cached(executor, ids), try whole(executor, ids)) < 1e-4)
  }

  /// A sequence of one token gives what the first of many gives: no token sees those behind it.
  @Test(arguments: [
    "deepseek-v2-groups-tiny", "deepseek-v2-tiny", "deepseek-v3-tiny", "llama-tiny",
    "mistral-tiny", "mixtral-one-expert-tiny", "mixtral-tiny", "qwen2-tiny",
    "qwen3-moe-edge-tiny", "qwen3-moe-tiny", "qwen3-tiny",
  ])
  func oneTokenGivesWhatTheFirstOfManyGives(_ name: String) throws {
    let ids = try Expected("\(name)/expected.safetensors").ids("input_ids")
    let executor = Executor(try LoadedModel.open(fixture(name)).model)
    for sequence in ids {
      let many = try executor.logits(sequence)
      let one = try executor.logits([sequence[0]]).elements(as: Float.self)
      let first = many.elements(as: Float.self).prefix(many.shape[2])
      #expect(relativeError(one, Array(first)) < 1e-5)
    }
  }

  @Test func heldOutLossesAgreeForEachToken() throws {
    let expected = try Expected("alice/expected_heldout.safetensors")
    let executor = Executor(try LoadedModel.open(fixture("alice")).model)
    let losses = try heldOutLosses(executor, try expected.ids("heldout_ids"))
    let wanted = try expected.floats("heldout_nll")
    #expect(losses.count == 64 * 127)
    let worst = zip(losses, wanted).reduce(0) { max($0, abs($1.0 - Double($1.1))) }
    #expect(worst < 1e-4)
    let perplexity = exp(losses.reduce(0, +) / Double(losses.count))
    #expect(abs(perplexity - 127.35) < 0.005)
  }
}

/// The logits of sequences of one length that run at once.
func whole(_ executor: Executor, _ ids: [[Int32]]) throws -> [Float] {
  var logits: [Float] = []
  try executor.run(tokens: ids, names: ["logits"]) { _, operand in
    logits = operand.copied().elements(as: Float.self)
  }
  return logits
}

/// The logits of sequences that run in steps of 1, 7, 1, 7… tokens with a cache.
func cached(_ executor: Executor, _ ids: [[Int32]]) throws -> [Float] {
  let cache = KeyValueCache(batch: ids.count)
  var logits = Array(repeating: [Float](), count: ids.count)
  var start = 0
  while start < ids[0].count {
    let end = min(start + (start % 8 == 0 ? 1 : 7), ids[0].count)
    try executor.run(
      tokens: ids.map { Array($0[start..<end]) },
      start: start,
      cache: cache,
      names: ["logits"]
    ) { _, operand in
      let rows = operand.copied().elements(as: Float.self)
      let each = rows.count / ids.count
      for sequence in ids.indices {
        logits[sequence] += rows[sequence * each..<(sequence + 1) * each]
      }
    }
    start = end
  }
  return logits.flatMap(\.self)
}

/// The negative log-likelihood of every token but the first of each window, in nats.
func heldOutLosses(_ executor: Executor, _ windows: [[Int32]]) throws -> [Double] {
  try windows.flatMap { window in
    let logits = try executor.logits(window)
    let vocabulary = logits.shape[2]
    return logits.withElements(as: Float.self) { logits in
      (0..<window.count - 1).map { place in
        let row = logits[place * vocabulary..<(place + 1) * vocabulary]
        let largest = Double(row.max() ?? 0)
        let sum = row.reduce(0) { $0 + exp(Double($1) - largest) }
        return largest + log(sum) - Double(row[row.startIndex + Int(window[place + 1])])
      }
    }
  }
}
