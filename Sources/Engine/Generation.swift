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
    let largest = first[argmax(first, count: logits.count)]
    func weight(_ token: Int) -> Double {
      Double((logits[token] - largest) / temperature).exponential
    }
    guard topK != nil || topP < 1 else {
      let weights = logits.indices.map(weight)
      return draw(weights, below: weights.reduce(0, +), &random) ?? 0
    }
    // Ties are broken by index, so that the choice does not depend on the sort.
    var order = Array(logits.indices)
    order.sort { (logits[$0], $1) > (logits[$1], $0) }
    if let topK { order = Array(order.prefix(max(topK, 1))) }
    let weights = order.map(weight)
    var limit = weights.reduce(0, +)
    if topP < 1 {
      var sum = 0.0
      let target = limit * Double(max(topP, 0))
      for weight in weights where sum < target || sum == 0 { sum += weight }
      limit = sum
    }
    return Int32(order[Int(draw(weights, below: limit, &random) ?? 0)])
  }

  /// A place, as often as its weight says, of those whose weights sum up to `limit`.
  private func draw(
    _ weights: [Double],
    below limit: Double,
    _ random: inout SeededGenerator
  ) -> Int32? {
    var point = Double.random(in: 0..<1, using: &random) * limit
    for (place, weight) in weights.enumerated() {
      point -= weight
      if point < 0 { return Int32(place) }
    }
    return nil
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
    try extend([prompt], by: maximumTokens, sampling: [sampling]) { _, token in
      !stops.contains(token) && show(token)
    }
  }

  /// Continues prompts of one length together, token by token, with keys and values cached.
  ///
  /// - Parameters:
  ///   - prompts: at least one token each.
  ///   - count: how many tokens to add to each at most.
  ///   - sampling: how those of each prompt are chosen, apart from the others'.
  ///   - show: is called with the number of a prompt and its new token; returns whether it goes on.
  /// - Throws: as `generate` does.
  func extend(
    _ prompts: [[Int32]],
    by count: Int,
    sampling: [Sampling],
    _ show: (Int, Int32) -> Bool
  ) throws {
    guard prompts.allSatisfy({ !$0.isEmpty }) else {
      throw EngineError("the prompt has no tokens; it needs at least one to continue.")
    }
    _ = try value(named: "logits")
    guard count > 0, var pending = prompts.isEmpty ? nil : prompts else { return }
    let cache = KeyValueCache(batch: prompts.count)
    var random = sampling.map { SeededGenerator(seed: $0.seed) }
    var start = 0
    // Nobody asks for the logits inside a prompt, which take more than all other values.
    if pending[0].count > 1, model.graph.layerCount > 0 {
      let seen = pending.map { Array($0.dropLast()) }
      try run(
        tokens: seen,
        cache: cache,
        names: [Graph.stateName(behindLayer: model.graph.layerCount - 1)]
      ) { _, _ in }
      start = seen[0].count
      pending = pending.map { $0.suffix(1) }
    }
    var isOpen = Array(repeating: true, count: prompts.count)
    for _ in 0..<count {
      let length = pending[0].count
      try run(tokens: pending, start: start, cache: cache, names: ["logits"]) { _, logits in
        pending = try next(after: logits, length, seen: start + length, sampling, &random)
          .map { [$0] }
      }
      start += length
      for (index, token) in pending.enumerated() where isOpen[index] {
        isOpen[index] = show(index, token[0])
      }
      guard isOpen.contains(true) else { return }
    }
  }

  /// Chooses a token for each sequence by the last of its rows of logits.
  private func next(
    after logits: Operand,
    _ length: Int,
    seen: Int,
    _ sampling: [Sampling],
    _ random: inout [SeededGenerator]
  ) throws(EngineError) -> [Int32] {
    let floats = logits.floats
    let features = logits.features
    let chosen = random.withUnsafeMutableBufferPointer { random in
      nonisolated(unsafe) let random = random
      return [Int32?](unsafeUninitializedCapacity: random.count) { chosen, count in
        count = random.count
        guard let first = chosen.baseAddress else { return }
        nonisolated(unsafe) let chosen = first
        workers.forEachTile(random.count) { index in
          let last = floats + ((index + 1) * length - 1) * features
          let row = UnsafeBufferPointer(start: last, count: features)
          let isFinite = row.allSatisfy(\.isFinite)
          (chosen + index).initialize(
            to: isFinite ? sampling[index].choose(row, &random[index]) : nil
          )
        }
      }
    }
    let tokens = chosen.compactMap(\.self)
    guard tokens.count == chosen.count else {
      throw EngineError(
        "the logits after \(seen) tokens are not finite numbers. Verify the checkpoint: karat verify."
      )
    }
    return tokens
  }
}
