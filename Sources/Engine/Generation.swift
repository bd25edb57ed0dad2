import KaratGraphs
import KaratKernels

/// How the next token is chosen from the logits.
public struct Sampling: Sendable, Hashable {
  /// What the logits are divided by; 0 takes the most likely token.
  public var temperature: Float
  /// How many of the most likely tokens are considered, or nil for all.
  public var topK: Int?
  /// The smallest set of most likely tokens with this much probability is considered.
  public var topP: Float
  /// Makes the same choices for the same seed.
  public var seed: UInt64

  /// Greedy unless told otherwise.
  public init(temperature: Float = 0, topK: Int? = nil, topP: Float = 1, seed: UInt64 = 0) {
    self.temperature = temperature
    self.topK = topK
    self.topP = topP
    self.seed = seed
  }

  /// Chooses a token.
  func choose(_ logits: UnsafeBufferPointer<Float>, _ random: inout SeededGenerator) -> Int32 {
    guard temperature > 0, let first = logits.baseAddress else {
      return logits.baseAddress.map { Int32(argmax($0, count: logits.count)) } ?? 0
    }
    // Ties are broken by index, so that the choice does not depend on the sort.
    var order = Array(0..<logits.count)
    order.sort { (logits[$0], $1) > (logits[$1], $0) }
    if let topK { order = Array(order.prefix(max(topK, 1))) }
    let largest = first[order[0]]
    let weights = order.map { Double(((logits[$0] - largest) / temperature)).exponential }
    var limit = weights.reduce(0, +)
    if topP < 1 {
      var sum = 0.0
      let target = limit * Double(max(topP, 0))
      for weight in weights where sum < target || sum == 0 { sum += weight }
      limit = sum
    }
    var point = Double.random(in: 0..<1, using: &random) * limit
    for (index, weight) in zip(order, weights) {
      point -= weight
      if point < 0 { return Int32(index) }
    }
    return Int32(order[0])
  }
}

extension Executor {
  /// Continues a prompt, token by token, with keys and values cached.
  ///
  /// - Parameters:
  ///   - prompt: at least one token.
  ///   - maximumTokens: how many to add at most.
  ///   - sampling: how each is chosen.
  ///   - stops: tokens that end the text; they are not shown.
  ///   - show: is called with each new token; returns whether to go on.
  /// - Throws: `EngineError` where the prompt is empty or holds a token that the vocabulary lacks,
  ///   or the logits are not numbers; `CheckpointError` where a parameter cannot be pulled.
  public func generate(
    prompt: [Int32],
    maximumTokens: Int,
    sampling: Sampling,
    stops: Set<Int32>,
    _ show: (Int32) -> Bool
  ) throws {
    guard !prompt.isEmpty else {
      throw EngineError("the prompt has no tokens; it needs at least one to continue.")
    }
    let cache = KeyValueCache(batch: 1)
    var random = SeededGenerator(seed: sampling.seed)
    var pending = prompt
    var start = 0
    for _ in 0..<maximumTokens {
      var next: Int32 = 0
      try run(tokens: [pending], start: start, cache: cache, names: ["logits"]) { _, logits in
        let row = UnsafeBufferPointer(
          start: logits.floats + (logits.rows - 1) * logits.features,
          count: logits.features
        )
        guard row.allSatisfy(\.isFinite) else {
          throw EngineError(
            "the logits after \(start + pending.count) tokens are not finite numbers. Verify the "
              + "checkpoint: karat verify."
          )
        }
        next = sampling.choose(row, &random)
      }
      start += pending.count
      pending = [next]
      if stops.contains(next) || !show(next) { return }
    }
  }
}
