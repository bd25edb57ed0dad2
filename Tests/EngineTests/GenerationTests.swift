import Foundation
import Karat
import KaratEngine
import KaratGraphs
import KaratTestSupport
import Testing

/// Generation from a model whose logits after a token are a row of a table: a Markov chain.
@Suite struct Generation {
  private func chain(_ rows: [[Float]]) throws -> Executor {
    let size = rows.count
    let tracer = Tracer()
    let ids = tracer.input("input_ids", ValueType(.i32, [.batch, .length]))
    let table = (tracer.root / "table").parameter("weight", size, size)
    tracer.name(ids.through(.embedding(Embedding()), table, at: tracer.root), "logits")
    let source = MemorySource(["table.weight": Tensor(rows.flatMap(\.self), shape: [size, size])])
    return Executor(Model(graph: try tracer.finish(), source: source))
  }

  private func generated(
    _ executor: Executor,
    from prompt: [Int32] = [0],
    _ count: Int,
    _ sampling: Sampling,
    stops: Set<Int32> = []
  ) throws -> [Int32] {
    var tokens: [Int32] = []
    try executor.generate(
      prompt: prompt,
      maximumTokens: count,
      sampling: sampling,
      stops: stops
    ) { token in
      tokens.append(token)
      return true
    }
    return tokens
  }

  /// After any token, these logits.
  private static let logits: [Float] = [0, 2, 1, 3, -4, 2.5]
  private func memoryless() throws -> Executor {
    try chain(Array(repeating: Self.logits, count: Self.logits.count))
  }

  @Test func temperatureZeroTakesTheMostLikely() throws {
    let executor = try chain([[0, 5, 1], [1, 0, 2], [3, 2, 3]])
    // Of equal logits, the first.
    #expect(try generated(executor, 5, Sampling()) == [1, 2, 0, 1, 2])
    #expect(try generated(executor, from: [2, 0, 1], 2, Sampling(seed: 99)) == [2, 0])
    #expect(try generated(executor, 0, Sampling()) == [])
  }

  @Test func stopTokensEndTheTextUnshown() throws {
    let executor = try chain([[0, 5, 1], [1, 0, 2], [3, 2, 3]])
    #expect(try generated(executor, 5, Sampling(), stops: [0]) == [1, 2])
    var shown = 0
    try executor.generate(prompt: [0], maximumTokens: 9, sampling: Sampling(), stops: []) { _ in
      shown += 1
      return shown < 3
    }
    #expect(shown == 3)
  }

  @Test func theSeedAloneTellsTheChoices() throws {
    let executor = try memoryless()
    let first = try generated(executor, 64, Sampling(temperature: 1, seed: 7))
    #expect(try generated(executor, 64, Sampling(temperature: 1, seed: 7)) == first)
    #expect(try generated(executor, 64, Sampling(temperature: 1, seed: 8)) != first)
  }

  /// Frequencies over 4000 tokens against probabilities: four standard errors of each.
  private func expectFrequencies(
    _ sampling: Sampling,
    _ probabilities: [Double]
  ) throws {
    let count = 4000
    let tokens = try generated(try memoryless(), count, sampling)
    #expect(tokens.count == count)
    for (token, probability) in probabilities.enumerated() {
      let frequency = Double(tokens.count { Int($0) == token }) / Double(count)
      let error = (probability * (1 - probability) / Double(count)).squareRoot()
      #expect(abs(frequency - probability) <= 4 * error, "token \(token)")
    }
  }

  private func softmax(_ temperature: Double, keeping kept: Set<Int> = Set(0..<6)) -> [Double] {
    let weights = Self.logits.enumerated().map { token, logit in
      kept.contains(token) ? exp(Double(logit) / temperature) : 0
    }
    let sum = weights.reduce(0, +)
    return weights.map { $0 / sum }
  }

  @Test func temperatureShapesTheDistribution() throws {
    try expectFrequencies(Sampling(temperature: 1, seed: 1), softmax(1))
    try expectFrequencies(Sampling(temperature: 2.5, seed: 2), softmax(2.5))
  }

  @Test func topKKeepsTheMostLikely() throws {
    try expectFrequencies(
      Sampling(temperature: 1, topK: 3, seed: 3),
      softmax(1, keeping: [1, 3, 5])
    )
    #expect(
      try generated(try memoryless(), 20, Sampling(temperature: 5, topK: 1))
        == Array(repeating: 3, count: 20)
    )
  }

  @Test func topPKeepsTheSmallestSetWithTheProbability() throws {
    // The probabilities are 0.46, 0.28, 0.17, 0.06, …: two tokens have 0.74 together.
    let two = softmax(1)[3] + softmax(1)[5]
    try expectFrequencies(
      Sampling(temperature: 1, topP: Float(two - 0.01), seed: 4),
      softmax(1, keeping: [3, 5])
    )
    try expectFrequencies(
      Sampling(temperature: 1, topP: Float(two + 0.01), seed: 5),
      softmax(1, keeping: [1, 3, 5])
    )
    #expect(
      try generated(try memoryless(), 20, Sampling(temperature: 5, topP: 1e-6))
        == Array(repeating: 3, count: 20)
    )
  }

  @Test func whatCannotBeContinuedIsRefused() throws {
    let executor = try memoryless()
    #expect(
      message { _ = try generated(executor, from: [], 3, Sampling()) }
        == "the prompt has no tokens; it needs at least one to continue."
    )
    #expect(
      message { _ = try generated(executor, from: [1, 6], 3, Sampling()) }
        == "token 6 is not in the model's vocabulary of 6. Does the tokenizer belong to another model?"
    )
    let broken = try chain([[0, 1], [0, .nan]])
    #expect(
      message { _ = try generated(broken, from: [0, 0], 3, Sampling()) }
        == "the logits after 3 tokens are not finite numbers. Verify the checkpoint: karat verify."
    )
  }

  @Test func generationFromARealModelEqualsRunsOfTheWholeText() throws {
    let executor = Executor(try LoadedModel.open(fixture("alice")).model)
    let prompt = try Expected("alice/expected.safetensors").ids("input_ids")[0]
    let tokens = try generated(executor, from: prompt, 12, Sampling())
    var text = prompt
    for token in tokens {
      let logits = try executor.logits(text)
      let last = logits.elements(as: Float.self).suffix(logits.shape[2])
      #expect(last.max() == last[last.startIndex + Int(token)])
      text.append(token)
    }
  }
}
