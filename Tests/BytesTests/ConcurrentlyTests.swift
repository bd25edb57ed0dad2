import KaratBytes
import Synchronization
import Testing

@Suite struct ConcurrentlyTests {
  @Test(arguments: [1, 2, 3, 16])
  func everyCallIsMadeOnce(threads: Int) {
    for count in [0, 1, 2, 100] {
      let calls = Mutex([Int](repeating: 0, count: count))
      concurrently(count, threads: threads) { index in calls.withLock { $0[index] += 1 } }
      #expect(calls.withLock { $0 } == [Int](repeating: 1, count: count))
    }
  }

  @Test(arguments: [1, 2, 3, 16])
  func ofSeveralErrorsTheFirstIsThrown(threads: Int) {
    struct Fault: Error, Equatable { let index: Int }
    for _ in 0..<50 {
      let calls = Atomic<Int>(0)
      #expect(throws: Fault(index: 7)) {
        try concurrently(10_000, threads: threads) { index throws(Fault) in
          calls.wrappingAdd(1, ordering: .relaxed)
          if index >= 7 { throw Fault(index: index) }
        }
      }
      #expect(calls.load(ordering: .relaxed) < 10_000, "nothing new starts after an error")
    }
  }

  @Test func aPoolLendsAgainWhatCameBack() throws {
    final class Resource: Sendable {}
    let made = Mutex(0)
    let pool = ResourcePool {
      made.withLock { $0 += 1 }
      return Resource()
    }
    pool.withResource { first in
      pool.withResource { second in #expect(first !== second) }
    }
    struct Fault: Error {}
    #expect(throws: Fault.self) { try pool.withResource { _ in throw Fault() } }
    concurrently(100, threads: 2) { _ in pool.withResource { _ in } }
    #expect(made.withLock { $0 } == 2)
  }
}
