import Foundation
import Karat
import KaratBytes
import KaratEngine
import KaratGraphs
import KaratPasses
import KaratTensors
import KaratTestSupport
import Testing

@Suite struct Memory {
  @Test(arguments: [
    ("4GB", 4_000_000_000), ("300mb", 300_000_000), ("1.5GiB", 1_610_612_736), ("64 KiB", 65536),
    ("7", 7), ("7B", 7), ("0.5KB", 500), ("1TB", 1_000_000_000_000), ("2tib", 2 << 40),
  ])
  func sizesAreRead(_ text: String, _ bytes: Int) {
    #expect(byteCount(text) == bytes)
  }

  @Test(arguments: [
    "", "GB", "-4GB", "+4GB", "4 G B", "4XB", "0", "0GB", "0.1B", "nan", "inf", "1e9", "0x10",
    "4..5MB",
    ".5GB", "5.GB", "9999999999999999999GB", "4GBs", "４GB", "4GB\u{0}", "99999999TB", " 4GB",
  ])
  func othersAreNot(_ text: String) {
    #expect(byteCount(text) == nil)
  }

  @Test func theMachineHasSome() {
    #expect(MemoryBudget.machine.total > 1 << 20)
  }

  /// Windows of three lengths, so that some run together and some alone.
  private static let windows: [[Int32]] = [128, 128, 128, 128, 128, 128, 3, 3, 97, 1].enumerated()
    .map { index, length in (0..<length).map { Int32(($0 * 37 + index * 101) % 1024) } }

  /// Everything that a staged run shows, in bits.
  private func staged(_ model: Model, _ memory: MemoryBudget?, threads: Int) throws -> [[UInt32]] {
    let executor = Executor(model, threads: threads, memory: memory)
    var run = try StagedRun(executor, windows: Self.windows)
    let names = model.graph.named
    let wanted = Set(names.filter { $0.key.hasPrefix("hidden") }.values)
    let logits = try executor.value(named: "logits")
    var shown: [ValueID: [Int: [UInt32]]] = [:]
    func bits(_ operand: Operand) -> [UInt32] {
      operand.copied().elements(as: Float.self).map(\.bitPattern)
    }
    try run.advance(to: logits, wanted: wanted, progress: { _ in }) { window, value, operand in
      shown[value, default: [:]][window] = bits(operand)
    }
    for (index, window) in Self.windows.enumerated() {
      let size = min(try #require(run.tokensAtATime(of: logits)), window.count)
      for first in stride(from: 0, to: window.count, by: size) {
        let tokens = first..<min(first + size, window.count)
        try run.show(logits, window: index, tokens: tokens) { operand in
          shown[logits, default: [:]][index, default: []] += bits(operand)
        }
      }
    }
    return shown.sorted { $0.key < $1.key }
      .flatMap { $0.value.sorted { $0.key < $1.key }.map(\.value) }
  }

  @Test func resultsHaveTheSameBitsForAnyBudgetAndNumberOfThreads() throws {
    let alice = try LoadedModel.open(fixture("alice")).model
    let context = PassContext(ignored: try LayerFilter(["lm_head"]))
    let quantized = try QuantizeActivations(granularity: .token).apply(
      to: try QuantizeWeights().apply(to: alice, in: context),
      in: context
    )
    for model in [alice, quantized] {
      let expected = try staged(model, nil, threads: 1)
      #expect(expected.count >= 2 * Self.windows.count)
      for (bytes, threads) in [(900_000, 1), (1_500_000, 3), (10_000_000, 2), (1 << 30, 2)] {
        let found = try staged(model, MemoryBudget(bytes: bytes), threads: threads)
        #expect(found == expected, "\(bytes) bytes, \(threads) threads")
      }
    }
  }

  @Test func generationAndLogitsAreTheSameWithinABudget() throws {
    let alice = try LoadedModel.open(fixture("alice")).model
    let prompt = Array(Self.windows[0].prefix(20))
    func generated(_ memory: MemoryBudget?) throws -> [Int32] {
      var tokens: [Int32] = []
      try Executor(alice, memory: memory).generate(
        prompt: prompt,
        maximumTokens: 12,
        sampling: Sampling(),
        stops: []
      ) {
        tokens.append($0)
        return true
      }
      return tokens
    }
    #expect(try generated(MemoryBudget(bytes: 800_000)) == generated(nil))
    let logits = try Executor(alice).logits(prompt)
    #expect(
      try Executor(alice, memory: MemoryBudget(bytes: 800_000)).logits(prompt).isIdentical(
        to: logits
      )
    )
  }

  @Test func tooSmallABudgetSaysWhatIsNeeded() throws {
    let alice = try LoadedModel.open(fixture("alice")).model
    let said = message {
      _ = try Executor(alice, memory: MemoryBudget(bytes: 20_000)).logits(Self.windows[0])
    }
    #expect(
      said?.contains(" bytes of memory at a time, and has 20000. Allow more: --memory ") == true
    )
    let halved = message {
      let half = MemoryBudget(bytes: 40_000).divided(by: 2)
      _ = try Executor(alice, memory: half).logits(Self.windows[0])
    }
    #expect(halved?.contains("and has 20000, its part of 40000. Allow more: --memory ") == true)
    // What a process is told to allow is enough.
    let process = message {
      let budget = MemoryBudget.process(bytes: 8_000_000).divided(by: 2)
      try budget.require(30_000_000, for: "it")
    }
    #expect(
      process
        == "it needs 30000000 bytes of memory at a time, and has 3500000, its part of 8000000. Allow more: --memory 69MB."
    )
    for needed in [6_600_000, 30_000_000, 30_000_001, 900_000_000] {
      let said = message {
        try MemoryBudget.process(bytes: 8_000_000).divided(by: 2).require(needed, for: "it")
      }
      let words = said?.split(separator: " ").last ?? ""
      let megabytes = try #require(Int(words.dropLast(3)))
      let allowed = MemoryBudget.process(bytes: megabytes * 1_000_000).divided(by: 2)
      #expect(message { try allowed.require(needed, for: "it") } == nil)
    }
  }

  @Test func parametersStayWithinTheBudget() throws {
    // Counts what is read: with little room the same parameters are read again for every run.
    let alice = try LoadedModel.open(fixture("alice")).model
    let counter = CountingSource(alice.source)
    let model = Model(graph: alice.graph, source: counter)
    let roomy = Executor(model, memory: MemoryBudget(bytes: 1 << 30))
    for _ in 0..<3 { _ = try roomy.logits(Self.windows[0]) }
    let once = counter.pulled
    let tight = Executor(model, memory: MemoryBudget(bytes: 1_000_000))
    for _ in 0..<3 { _ = try tight.logits(Self.windows[0]) }
    #expect(counter.pulled - once > 2 * once)
  }

  @Test func windowsOfOneLengthReadTheParametersOnce() throws {
    let alice = try LoadedModel.open(fixture("alice")).model
    func pulled(_ windows: [[Int32]]) throws -> Int {
      let counter = CountingSource(alice.source)
      let executor = Executor(
        Model(graph: alice.graph, source: counter),
        memory: MemoryBudget(bytes: 6_000_000)
      )
      var run = try StagedRun(executor, windows: windows)
      try run.advance(to: try executor.value(named: "last_hidden_state"))
      return counter.pulled
    }
    let one = try pulled([Self.windows[0]])
    #expect(try pulled(Array(Self.windows.prefix(4))) == one)
  }
  /// What a cache takes after a prompt of so many tokens and a generation, and the logits along the way.
  private func generated(
    _ executor: Executor,
    prompt: Int,
    _ tokens: [Int32]
  ) throws -> (bytes: Int, logits: [Float]) {
    let cache = KeyValueCache(batch: 1)
    var logits: [Float] = []
    var start = 0
    while start < tokens.count {
      let length = start == 0 ? prompt : 1
      let part = Array(tokens[start..<start + length])
      try executor.run(tokens: [part], start: start, cache: cache, names: ["logits"]) {
        logits += $1.copied().elements(as: Float.self)
      }
      start += length
    }
    return (cache.byteCount, logits)
  }

  @Test(arguments: [("mistral-tiny", 16), ("mixtral-window-tiny", 5), ("llama-tiny", 0)])
  func aCacheKeepsWhatASlidingWindowSees(_ name: String, _ window: Int) throws {
    let loaded = try LoadedModel.open(fixture(name))
    let executor = Executor(loaded.model)
    let size = executor.vocabularySize
    let tokens = (0..<300).map { Int32(($0 * 37 + 11) % size) }
    let layers = loaded.config["num_hidden_layers"]?.int ?? 0
    let heads = loaded.config["num_key_value_heads"]?.int ?? 0
    let headSize =
      loaded.config["head_dim"]?.int
      ?? (loaded.config["hidden_size"]?.int ?? 0)
      / (loaded.config["num_attention_heads"]?.int ?? 1)
    let perToken = 2 * layers * heads * headSize * MemoryLayout<Float>.stride
    let expected = try executor.logits(tokens).elements(as: Float.self)
    for prompt in [1, 3, 40, 150] {
      let (bytes, logits) = try generated(executor, prompt: prompt, tokens)
      #expect(relativeError(logits, expected) < 1e-4, "\(prompt)")
      if window > 0 {
        #expect(bytes <= 2 * window * perToken, "\(prompt)")
      } else {
        #expect(bytes >= tokens.count * perToken)
      }
    }
  }
}
