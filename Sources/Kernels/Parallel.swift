import Dispatch
import Foundation
import Synchronization

/// Threads that share the tiles of one operation.
///
/// Operations cut their work into tiles by shape alone and reduce within a tile in a fixed order,
/// so results have the same bits for any number of threads.
package struct Workers: Sendable {
  /// The most tiles that run at a time.
  package let threads: Int

  /// Uses `threads` threads, at least 1; there may be more of them than processor cores.
  package init(threads: Int) {
    precondition(threads >= 1, "a worker needs a thread")
    self.threads = threads
  }

  /// As many threads as there are processor cores in use.
  package static var automatic: Workers {
    Workers(threads: max(1, ProcessInfo.processInfo.activeProcessorCount))
  }

  /// Calls `body` once with each of `0..<tiles`, in any order and at the same time on other
  /// threads; returns when all calls have returned.
  ///
  /// One tile or one thread runs on the caller's. Calls may nest.
  package func forEachTile(_ tiles: Int, _ body: (Int) -> Void) {
    guard tiles > 1, threads > 1 else {
      for tile in 0..<tiles { body(tile) }
      return
    }
    let next = Atomic<Int>(0)
    withoutActuallyEscaping(body) { body in
      // Callers promise that calls may run at the same time; all have returned at the end.
      nonisolated(unsafe) let body = body
      DispatchQueue.concurrentPerform(iterations: min(threads, tiles)) { _ in
        while true {
          let tile = next.wrappingAdd(1, ordering: .relaxed).oldValue
          guard tile < tiles else { return }
          body(tile)
        }
      }
    }
  }

  /// Cuts `count` items into runs of `size` and calls `body` with each run, as `forEachTile` does.
  func forEachRun(of size: Int, in count: Int, _ body: (Range<Int>) -> Void) {
    forEachTile((count + size - 1) / size) { tile in
      body(tile * size..<min(count, (tile + 1) * size))
    }
  }
}

/// Elements of one tile of an operation that is limited by memory.
let elementsPerTile = 32_768

/// Lends uninitialized memory for `count` floats, aligned to a cache line.
func withScratch(_ count: Int, _ body: (UnsafeMutablePointer<Float>) -> Void) {
  let memory = UnsafeMutableRawPointer.allocate(
    byteCount: max(1, count) * MemoryLayout<Float>.stride,
    alignment: 64
  )
  body(memory.bindMemory(to: Float.self, capacity: max(1, count)))
  memory.deallocate()
}
