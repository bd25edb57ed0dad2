import Foundation
import Karat
import KaratEngine
import KaratGraphs
import KaratTestSupport
import Testing

private let windows: [[Int32]] = [[5, 9, 2, 31, 7], [11, 3, 28, 1, 8, 40], [2, 2, 19, 33, 6]]

/// What a model's parts give, against what its values say one by one.
@Suite struct ImportanceOfParts {
  private func values(_ model: Model, _ value: ValueID) throws -> [[Float]] {
    let executor = Executor(model, threads: 1)
    return try windows.map { window in
      var found: [Float] = []
      try executor.run(
        given: try executor.given(TokenBatch([window])),
        binding: Binding(batch: 1, length: window.count),
        wanted: [value]
      ) { found = $1.copied().elements(as: Float.self) }
      return found
    }
  }

  private func meanMagnitudes(_ rows: [[Float]], _ width: Int) -> [Double] {
    let all = rows.flatMap(\.self)
    return (0..<width).map { column in
      let own = stride(from: column, to: all.count, by: width).map { Double(abs(all[$0])) }
      return own.reduce(0, +) / Double(own.count)
    }
  }

  private func areClose(_ left: [Double], _ right: [Double]) -> Bool {
    left.count == right.count
      && zip(left, right).allSatisfy { abs($0 - $1) <= 1e-9 * max(abs($0), 1) }
  }

  @Test(arguments: ["llama-tiny", "bert-tiny", "deepseek-v3-tiny"])
  func neuronsAndHeadsAreMeansOverTokens(_ name: String) throws {
    let model = try LoadedModel.open(fixture(name)).model
    let importance = try Executor(model, threads: 2).importance(windows)
    #expect(importance.neurons.count > 0 && importance.heads.count == 3)
    for layer in model.graph.linearLayers where !layer.isRouted {
      let width = model.graph.type(of: layer.input).features ?? 1
      if let neurons = importance.neurons[layer.path.text] {
        let rows = try values(model, layer.input)
        #expect(areClose(neurons, meanMagnitudes(rows, width)))
      }
      if let heads = importance.heads[layer.path.text] {
        let all = try values(model, layer.input).flatMap(\.self)
        let size = width / heads.count
        let tokens = all.count / width
        for head in heads.indices {
          var sum = 0.0
          for token in 0..<tokens {
            let first = token * width + head * size
            sum += all[first..<first + size].reduce(0.0) { $0 + Double($1) * Double($1) }
              .squareRoot()
          }
          #expect(abs(sum / Double(tokens) - heads[head]) < 1e-9)
        }
      }
    }
  }

  @Test func channelsAddUpOverNorms() throws {
    let model = try LoadedModel.open(fixture("llama-tiny")).model
    let importance = try Executor(model, threads: 2).importance(windows)
    var expected = Array(repeating: 0.0, count: 64)
    var norms = 0
    for (place, node) in model.graph.nodes.enumerated() {
      guard case .rmsNorm = node.op else { continue }
      norms += 1
      let means = meanMagnitudes(try values(model, ValueID(node: place)), 64)
      for channel in 0..<64 { expected[channel] += means[channel] }
    }
    #expect(norms == 7)
    #expect(areClose(importance.channels, expected))
  }

  @Test func threadsAndMemoryChangeNothing() throws {
    for name in ["qwen3-moe-tiny", "llama-tiny"] {
      let model = try LoadedModel.open(fixture(name)).model
      let one = try Executor(model, threads: 1).importance(windows)
      #expect(try Executor(model, threads: 3).importance(windows) == one)
      let budget = MemoryBudget(bytes: 64 << 20)
      #expect(try Executor(model, threads: 2, memory: budget).importance(windows) == one)
    }
  }

  @Test func expertsAreWeighedByWhatTheyAdd() throws {
    let model = try LoadedModel.open(fixture("mixtral-tiny")).model
    let importance = try Executor(model, threads: 2).importance(windows)
    #expect(importance.experts.count == 3)
    for (_, experts) in importance.experts {
      #expect(experts.tokens == 16)
      #expect(experts.counts.reduce(0, +) == 32)
      // Two of four, their weights normalized.
      #expect(abs(experts.weights.reduce(0, +) - 16) < 1e-5)
      #expect(zip(experts.counts, experts.scores).allSatisfy { ($0 > 0) == ($1 > 0) })
    }
    // Experts are alike as their columns of what the router gives are.
    let router: TensorName = "model.layers.1.block_sparse_moe.gate"
    let linear = try #require(
      model.graph.nodes.lastIndex { node in
        if case .linear = node.op { node.path == router } else { false }
      }
    )
    let scores = try values(model, ValueID(node: linear)).flatMap(\.self).map(Double.init)
    let centred = stride(from: 0, to: scores.count, by: 4).map { first in
      let row = scores[first..<first + 4]
      return row.map { $0 - row.reduce(0, +) / 4 }
    }
    func product(_ left: Int, _ right: Int) -> Double {
      centred.reduce(0) { $0 + $1[left] * $1[right] }
    }
    let found = try #require(importance.experts[router.text])
    for left in 0..<4 {
      for right in 0..<4 {
        let cosine =
          product(left, right) / (product(left, left) * product(right, right)).squareRoot()
        #expect(abs(found.likeness(left, right) - cosine) < 1e-9)
      }
    }
    // One expert gives the whole layer: its contribution is the length of what the layer gives.
    let single = try LoadedModel.open(fixture("mixtral-one-expert-tiny")).model
    let own = try Executor(single).importance([[1, 2, 3]])
    let experts = try #require(own.experts.values.first)
    var lengths = 0.0
    let place = try #require(
      single.graph.nodes.firstIndex { if case .combineExperts = $0.op { true } else { false } }
    )
    let executor = Executor(single)
    try executor.run(
      given: try executor.given(TokenBatch([[1, 2, 3]])),
      binding: Binding(batch: 1, length: 3),
      wanted: [ValueID(node: place)]
    ) { _, operand in
      for token in 0..<3 {
        lengths += (0..<16).reduce(0.0) {
          $0 + Double(operand.floats[token * 16 + $1]) * Double(operand.floats[token * 16 + $1])
        }.squareRoot()
      }
    }
    #expect(abs(experts.contributions[0] - lengths) < 1e-5 * lengths)
  }
}

@Suite struct CostsOfLayers {
  @Test(arguments: ["llama-tiny", "bert-tiny", "deepseek-v3-mtp-tiny"])
  func aLayerThatAddsNothingCostsNothing(_ name: String) throws {
    var edited = try EditedModel(name)
    let isEncoder = name == "bert-tiny"
    for (tensor, _) in edited.tensors where !isEncoder && tensor.text.hasPrefix("model.layers.1.") {
      // What is added to the stream: attention, and the feed-forward layer or its experts.
      if tensor.text.hasSuffix("o_proj.weight") || tensor.text.hasSuffix("down_proj.weight") {
        edited.edit(tensor) { for index in $0.indices { $0[index] = 0 } }
      }
    }
    let model = try LoadedModel.open(fixture(name)).model
    let costs = try Executor(
      Model(graph: model.graph, source: edited.source),
      threads: 2
    ).layerCosts(windows)
    #expect(costs.count == (name == "deepseek-v3-mtp-tiny" ? 2 : 3))
    #expect(costs[0] > 1e-6)
    if !isEncoder { #expect(costs[1] == 0) }
  }

  @Test func theCostIsTheDivergenceOfTheShorterModel() throws {
    let teacher = try LoadedModel.open(fixture("alice"))
    let costs = try Executor(teacher.model, threads: 1).layerCosts(windows)
    #expect(try Executor(teacher.model, threads: 3).layerCosts(windows) == costs)
    // The student without layer 2, as the verifier sees it: but for the last token of each window.
    let student = try teacher.student(StudentShape(layers: .listed([0, 1, 3]))).model
    let executors = (Executor(teacher.model, threads: 1), Executor(student.model, threads: 1))
    var sum = 0.0
    for window in windows {
      let left = try executors.0.logits(window).elements(as: Float.self)
      let right = try executors.1.logits(window).elements(as: Float.self)
      for token in window.indices {
        let rows = [left, right].map { $0[token * 1024..<(token + 1) * 1024].map(Double.init) }
        let totals = rows.map { row in log(row.reduce(0) { $0 + exp($1) }) }
        for index in 0..<1024 {
          let (p, q) = (rows[0][index] - totals[0], rows[1][index] - totals[1])
          sum += exp(p) * (p - q)
        }
      }
    }
    #expect(abs(costs[2] - sum / 16) < 1e-4 * costs[2])
  }

  @Test func noWindowsAreRefused() throws {
    let executor = Executor(try LoadedModel.open(fixture("llama-tiny")).model)
    let expected = "there are no windows to measure importance on; at least one is needed."
    #expect(message { _ = try executor.importance([]) } == expected)
    #expect(message { _ = try executor.layerCosts([]) } == expected)
  }
}
