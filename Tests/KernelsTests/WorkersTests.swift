import KaratKernels
import Synchronization
import Testing

struct WorkersTests {
  @Test(arguments: [1, 2, 3, 16], [0, 1, 2, 5, 1000])
  func everyTileOnce(threads: Int, tiles: Int) {
    let counts = Mutex([Int](repeating: 0, count: tiles))
    Workers(threads: threads).forEachTile(tiles) { tile in
      counts.withLock { $0[tile] += 1 }
    }
    #expect(counts.withLock { $0.allSatisfy { $0 == 1 } })
  }

  @Test func nestedCalls() {
    let total = Atomic<Int>(0)
    let workers = Workers(threads: 8)
    workers.forEachTile(20) { _ in
      workers.forEachTile(20) { _ in
        workers.forEachTile(5) { _ in total.wrappingAdd(1, ordering: .relaxed) }
      }
    }
    #expect(total.load(ordering: .relaxed) == 2000)
  }

  @Test func automaticUsesCores() {
    #expect(Workers.automatic.threads >= 1)
  }
}
