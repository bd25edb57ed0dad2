import KaratKernels
import Testing

extension Kernels {
  private static func routing(
    _ experts: Int,
    _ chosen: Int,
    groups: Int = 1,
    kept: Int = 1,
    sigmoid: Bool = false,
    sumsTwo: Bool = false,
    normalizes: Bool = true,
    scale: Float = 1
  ) -> Routing {
    Routing(
      experts: experts,
      chosen: chosen,
      groups: groups,
      keptGroups: kept,
      usesSigmoid: sigmoid,
      sumsTwo: sumsTwo,
      normalizes: normalizes,
      scale: scale
    )
  }

  static let routings = [
    routing(1, 1), routing(4, 2), routing(8, 8, normalizes: false), routing(257, 6),
    routing(16, 4, groups: 4, kept: 2, sigmoid: true, sumsTwo: true, scale: 2.5),
    routing(160, 6, groups: 8, kept: 3, normalizes: false, scale: 16),
    routing(6, 2, groups: 6, kept: 2, sigmoid: true, sumsTwo: true),
    routing(256, 8, groups: 8, kept: 4, sigmoid: true, sumsTwo: true, scale: 2.5),
  ]

  private func routed(
    _ logits: [Float],
    _ bias: [Float]?,
    _ routing: Routing,
    _ check: (InstructionSet, _ weights: [Float], _ indices: [Int32]) -> Void
  ) {
    let rows = logits.count / routing.experts
    let count = rows * routing.chosen
    sweep { workers -> [UInt32] in
      var indices: [Int32] = []
      let weights = filled(count, with: Float(7)) { weights in
        indices = filled(count, with: Int32(7)) { indices in
          route(
            logits: logits,
            bias: bias,
            rows: rows,
            routing: routing,
            weights: weights,
            indices: indices,
            on: workers
          )
        }
      }
      return weights.map(\.bitPattern) + indices.map { UInt32(bitPattern: $0) }
    } check: { level, found in
      check(
        level,
        found[..<count].map { Float(bitPattern: $0) },
        found[count...].map { Int32(bitPattern: $0) }
      )
    }
  }

  @Test(arguments: routings, [false, true])
  func routes(_ routing: Routing, isBiased: Bool) {
    var numbers = Numbers(seed: UInt64(routing.experts))
    let logits = numbers.floats(61 * routing.experts, size: 4)
    let bias = isBiased ? numbers.floats(routing.experts, size: 0.3) : nil
    let expected = Reference.route(logits: logits, bias: bias, routing: routing)
    routed(logits, bias, routing) { level, weights, indices in
      #expect(indices == expected.indices, "\(level)")
      expectClose(weights, expected.weights, tolerance: 2e-6, "\(level) \(routing)")
    }
  }

  @Test func ofEqualScoresTheFirstExpertsAndGroupsWin() {
    let logits = [Float](repeating: 1, count: 12)
    routed(logits, nil, Self.routing(12, 3)) { _, weights, indices in
      #expect(indices == [0, 1, 2])
      expectClose(weights, [1 / 3, 1 / 3, 1 / 3], tolerance: 1e-6, "equal weights")
    }
    let grouped = Self.routing(12, 4, groups: 4, kept: 2, sigmoid: true, sumsTwo: true)
    routed(logits, nil, grouped) { _, _, indices in #expect(indices == [0, 1, 2, 3]) }
    // Zero and minus zero are equal.
    routed([-0.0, 0, -1], nil, Self.routing(3, 2, sigmoid: true)) { _, _, indices in
      #expect(indices == [0, 1])
    }
  }

  /// Whatever the logits hold, indices are experts, each once for a token.
  @Test(arguments: routings)
  func whatIsNotANumberNeverLeavesTheTable(_ routing: Routing) {
    let strange: [Float] = [.nan, .infinity, -.infinity, 0, .greatestFiniteMagnitude, -0.0]
    for shift in 0..<strange.count {
      let logits = (0..<3 * routing.experts).map { strange[($0 * (shift + 1) + shift) % 6] }
      for bias in [nil, (0..<routing.experts).map { strange[($0 + shift) % 6] }] {
        routed(logits, bias, routing) { level, _, indices in
          for first in stride(from: 0, to: indices.count, by: routing.chosen) {
            let row = Set(indices[first..<first + routing.chosen])
            #expect(row.count == routing.chosen && row.isSubset(of: 0..<Int32(routing.experts)))
          }
        }
      }
    }
    let nothing = [Float](repeating: .nan, count: 2 * routing.experts)
    let first = (0..<Int32(routing.chosen)).map(\.self)
    routed(nothing, nil, routing) { _, weights, indices in
      #expect(indices == first + first)
      #expect(weights.allSatisfy { $0.isNaN })
    }
  }

  @Test(arguments: [(1, 1, 1, 3), (5, 7, 2, 8), (40, 16, 4, 24), (300, 3, 3, 65)])
  func gathersAndCombines(tokens: Int, experts: Int, chosen: Int, features: Int) {
    var numbers = Numbers(seed: UInt64(tokens))
    let x = numbers.floats(tokens * features)
    let weights = numbers.floats(tokens * chosen)
    // The last expert is never chosen where there are others.
    let indices = (0..<tokens * chosen).map { Int32(($0 * 5 + $0 / 7) % max(1, experts - 1)) }
    let expected = Reference.mixture(
      x: x,
      features: features,
      weights: weights,
      indices: indices,
      chosen: chosen
    ) { expert, row in row.map { $0 * Float(expert + 1) } }
    var slots = [Int32](repeating: -1, count: indices.count)
    let offsets = filled(experts + 1, with: Int32(-1)) {
      sortByExpert(
        indices: indices,
        count: indices.count,
        experts: experts,
        offsets: $0,
        slots: &slots
      )
    }
    #expect(slots.sorted() == (0..<Int32(indices.count)).map(\.self))
    #expect(offsets[0] == 0 && offsets[experts] == Int32(indices.count))
    for expert in 0..<experts {
      let own = Array(slots[Int(offsets[expert])..<Int(offsets[expert + 1])])
      #expect(own.allSatisfy { indices[Int($0)] == Int32(expert) })
      #expect(own == own.sorted())
    }
    sweep { workers in
      let rows = filled(indices.count * features, with: Float(7)) { out in
        slots.withUnsafeBufferPointer {
          gatherRows(x: x, features: features, slots: $0, chosen: chosen, out: out, on: workers)
        }
      }
      let given = rows.enumerated().map { place, value in
        value * Float(indices[Int(slots[place / features])] + 1)
      }
      return given.withUnsafeBufferPointer { given in
        guard let base = given.baseAddress else { return [] }
        var pointers = [UnsafePointer<Float>](repeating: base, count: indices.count)
        for (place, slot) in slots.enumerated() { pointers[Int(slot)] = base + place * features }
        return filled(tokens * features, with: Float(7)) {
          combineRows(
            rows: pointers,
            weights: weights,
            tokens: tokens,
            chosen: chosen,
            features: features,
            out: $0,
            on: workers
          )
        }
      }
    } check: { level, found in
      expectClose(found, expected, tolerance: 1e-6, "\(level)")
    }
  }
}
