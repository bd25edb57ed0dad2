import CKernels

/// The most that this machine can do on some threads: what a run is measured against.
package struct MachineCeilings: Sendable, Hashable {
  /// Operations in float32 a second, a multiplication and an addition being two.
  package let operationsPerSecond: Double
  /// Bytes that are read from memory and written to it a second.
  package let bytesPerSecond: Double

  /// Measures both, in about a third of a second; holds 96 MB meanwhile.
  package static func measure(on workers: Workers) -> MachineCeilings {
    MachineCeilings(
      operationsPerSecond: best {
        let rounds = 400_000
        var operations = 0
        withScratch(16 * workers.threads) { results in
          withUnsafeTemporaryAllocation(of: Int.self, capacity: workers.threads) { counts in
            guard let counts = counts.baseAddress else { return }
            workers.forEachTile(workers.threads) { tile in
              counts[tile] = kernels.multiply_adds(rounds, results + 16 * tile)
            }
            operations = (0..<workers.threads).reduce(0) { $0 + counts[$1] * rounds }
          }
        }
        return Double(operations)
      },
      // Beyond every cache, or nearly so.
      bytesPerSecond: {
        let count = 8 << 20
        var rate = 0.0
        withScratch(3 * count) { numbers in
          numbers.update(repeating: 1, count: 3 * count)
          rate = best {
            workers.forEachRun(of: elementsPerTile, in: count) { run in
              let first = run.lowerBound
              kernels.add(
                numbers + first,
                numbers + count + first,
                run.count,
                numbers + 2 * count + first
              )
            }
            return Double(3 * count * MemoryLayout<Float>.stride)
          }
        }
        return rate
      }()
    )
  }

  /// The best rate of several runs: whatever else the machine does only takes away from it.
  private static func best(_ run: () -> Double) -> Double {
    let clock = ContinuousClock()
    return (0..<5).reduce(0) { best, _ in
      var amount = 0.0
      let duration = clock.measure { amount = run() }.components
      let seconds = Double(duration.seconds) + Double(duration.attoseconds) / 1e18
      return max(best, amount / max(seconds, 1e-9))
    }
  }
}
