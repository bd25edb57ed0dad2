import KaratKernels
import Testing

extension Kernels {
  /// Few experts and many, all of them chosen, in groups, by sigmoid and by softmax.
  private static let learnedRoutings = [
    (1, 1, 1, false, true, 1), (4, 2, 1, false, true, 1), (5, 3, 1, false, false, 2),
    (8, 8, 1, false, true, 1), (8, 8, 1, true, true, 1), (6, 2, 3, true, true, 2.5),
    (12, 3, 4, true, false, 1), (67, 6, 1, false, true, 1), (256, 8, 8, true, true, 2.5),
  ].map { experts, chosen, groups, usesSigmoid, normalizes, scale in
    Routing(
      experts: experts,
      chosen: chosen,
      groups: groups,
      keptGroups: max(1, groups - 1),
      usesSigmoid: usesSigmoid,
      sumsTwo: usesSigmoid,
      normalizes: normalizes,
      scale: Float(scale)
    )
  }

  @Test(arguments: learnedRoutings)
  func routersLearn(_ routing: Routing) {
    var numbers = Numbers(seed: UInt64(routing.experts))
    let rows = 61
    let logits = numbers.doubles(rows * routing.experts, size: 3)
    let upstream = numbers.doubles(rows * routing.chosen)
    let bias = numbers.doubles(routing.experts, size: 0.1)
    let indices = Reference.route(logits: logits, bias: bias, routing: routing).indices
    if routing.experts < 20 {
      let few = 3 * routing.experts
      let part = Array(logits[..<few])
      let weights = Array(upstream[..<(3 * routing.chosen)])
      let found = Reference.routeGradient(
        logits: part,
        indices: Array(indices[..<(3 * routing.chosen)]),
        routing: routing,
        gradient: weights
      )
      checkGradient(of: part, found) {
        weightedSum(weights, Reference.route(logits: $0, bias: bias, routing: routing).weights)
      }
    }
    let before = numbers.floats(logits.count, size: 0.3)
    let gradient = Reference.routeGradient(
      logits: logits,
      indices: indices,
      routing: routing,
      gradient: upstream
    )
    sweep { workers in
      added(to: before) {
        routeGradient(
          logits: logits.map { Float($0) },
          indices: indices,
          gradient: upstream.map { Float($0) },
          rows: rows,
          routing: routing,
          addTo: $0,
          on: workers
        )
      }
    } check: { level, found in
      expectClose(
        found,
        sum(before, gradient.map { Float($0) }),
        tolerance: 2e-6,
        "\(level) \(routing)"
      )
    }
  }

  @Test(arguments: [(1, 1, 1), (7, 5, 2), (3, 4, 4), (700, 60, 6)])
  func routersAreKeptInBalance(rows: Int, experts: Int, chosen: Int) {
    var numbers = Numbers(seed: UInt64(rows))
    let logits = numbers.doubles(rows * experts, size: 3)
    let indices = (0..<rows * chosen).map { Int32(($0 * 3 + $0 / 5) % experts) }
    let toLoss = Reference.balanceLossGradient(logits: logits, indices: indices, experts: experts)
    let toEntropy = Reference.routerEntropyGradient(logits: logits, experts: experts)
    if rows < 20 {
      checkGradient(of: logits, toLoss) {
        Reference.balanceLoss(logits: $0, indices: indices, experts: experts)
      }
      checkGradient(of: logits, toEntropy) {
        Reference.routerEntropy(logits: $0, experts: experts)
      }
    }
    let largest = Float((toLoss + toEntropy).reduce(1e-6) { max($0, abs($1)) })
    let before = numbers.floats(logits.count, size: largest)
    let expected = zip(toLoss, toEntropy).map { Float(0.5 * $0 - 2 * $1) }
    sweep { workers -> [Double] in
      var (loss, entropy) = (0.0, 0.0)
      let x = logits.map { Float($0) }
      let sums = added(to: before) {
        loss = balanceLoss(
          logits: x,
          indices: indices,
          rows: rows,
          experts: experts,
          chosen: chosen,
          factor: 0.5,
          addTo: $0,
          on: workers
        )
        entropy = routerEntropy(
          logits: x,
          rows: rows,
          experts: experts,
          factor: -2,
          addTo: $0,
          on: workers
        )
      }
      return sums.map { Double($0) } + [loss, entropy]
    } check: { level, found in
      expectClose(
        found[..<logits.count].map { Float($0) },
        sum(before, expected),
        tolerance: 5e-6,
        "\(level)"
      )
      let loss = Reference.balanceLoss(logits: logits, indices: indices, experts: experts)
      #expect(abs(found[logits.count] - loss) <= 1e-6 * loss, "\(level)")
      let entropy = Reference.routerEntropy(logits: logits, experts: experts)
      #expect(abs(found[logits.count + 1] - entropy) <= 1e-6 * max(1, entropy), "\(level)")
    }
  }

  /// Loads that are even, and probabilities that are, too, give the least loss there is.
  @Test func evenLoadsLoseOne() {
    let loss = balanceLoss(
      logits: [Float](repeating: 2, count: 32),
      indices: (0..<16).map { Int32($0 % 4) },
      rows: 8,
      experts: 4,
      chosen: 2,
      factor: 1,
      addTo: nil,
      on: Workers(threads: 1)
    )
    #expect(abs(loss - 1) < 1e-6)
  }

  @Test(arguments: [(1, 1, 3), (40, 4, 24), (3, 3, 65), (150, 2, 300)])
  func gradientsOfGatheredAndCombinedRows(tokens: Int, chosen: Int, features: Int) {
    var numbers = Numbers(seed: UInt64(tokens))
    let slots = tokens * chosen
    let upstream = numbers.doubles(tokens * features)
    let rows = numbers.doubles(slots * features)
    let weights = numbers.doubles(slots)
    let expected = Reference.combineRowsGradient(
      rows: rows,
      weights: weights,
      chosen: chosen,
      features: features,
      gradient: upstream
    )
    if slots * features < 200 {
      checkGradient(of: rows, expected.rows) {
        weightedSum(
          upstream,
          Reference.combineRows(rows: $0, weights: weights, chosen: chosen, features: features)
        )
      }
      checkGradient(of: weights, expected.weights) {
        weightedSum(
          upstream,
          Reference.combineRows(rows: rows, weights: $0, chosen: chosen, features: features)
        )
      }
    }
    let before = numbers.floats(slots * features)
    let weightsBefore = numbers.floats(slots)
    let (floats, gradient) = (rows.map { Float($0) }, upstream.map { Float($0) })
    sweep { workers in
      var toRows: [Float] = []
      let toWeights = added(to: weightsBefore) { toWeights in
        toRows = added(to: before) { toRows in
          withPointer(floats) { floats in
            combineRowsGradient(
              rows: (0..<slots).map { floats + $0 * features },
              weights: weights.map { Float($0) },
              tokens: tokens,
              chosen: chosen,
              features: features,
              gradient: gradient,
              addToRows: (0..<slots).map { toRows + $0 * features },
              addToWeights: toWeights,
              on: workers
            )
          }
        }
      }
      return toRows + toWeights
    } check: { level, found in
      let (toRows, toWeights) = (Array(found[..<before.count]), Array(found[before.count...]))
      let what = "\(level)"
      expectClose(
        toRows,
        sum(before, expected.rows.map { Float($0) }),
        tolerance: 1e-6,
        what
      )
      expectClose(
        toWeights,
        sum(weightsBefore, expected.weights.map { Float($0) }),
        tolerance: 1e-6,
        what
      )
    }
    checkGathered(tokens: tokens, chosen: chosen, features: features, floats)
  }

  /// Slots in any order, some of them of one token, others missing.
  private func checkGathered(tokens: Int, chosen: Int, features: Int, _ gradient: [Float]) {
    let places = (0..<tokens * chosen).map { ($0 * 7 + 3) % (tokens * chosen) }
    let slots = places.filter { $0 % 5 != 4 }.map { Int32($0) }
    let before = (0..<tokens * features).map { Float($0 % 11) / 10 }
    var expected = before.map { Double($0) }
    for (place, slot) in slots.enumerated() {
      for i in 0..<features {
        expected[Int(slot) / chosen * features + i] += Double(gradient[place * features + i])
      }
    }
    sweep { workers in
      added(to: before) { out in
        slots.withUnsafeBufferPointer {
          gatherRowsGradient(
            gradient: gradient,
            features: features,
            slots: $0,
            chosen: chosen,
            addTo: out,
            on: workers
          )
        }
      }
    } check: { level, found in
      expectClose(found, expected.map { Float($0) }, tolerance: 1e-6, "\(level)")
    }
  }
}
