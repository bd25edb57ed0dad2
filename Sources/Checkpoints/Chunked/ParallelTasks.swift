import Dispatch
import Foundation
import KaratTensors
import Synchronization

/// Runs tasks that may throw on several threads.
enum ParallelTasks {
  /// As many threads as there are processor cores in use.
  static var coreCount: Int { max(1, ProcessInfo.processInfo.activeProcessorCount) }

  /// Calls `body` once with each of `0..<count`, in ascending order, some at the same time; returns
  /// when all calls have returned.
  ///
  /// - Throws: what the call with the lowest number that throws throws, whatever the number of
  ///   threads; after it, no further call is begun.
  static func run(
    _ count: Int,
    threads: Int,
    _ body: (Int) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    guard count > 1, threads > 1 else {
      for number in 0..<count { try body(number) }
      return
    }
    let next = Atomic(0)
    let fault = Mutex<(number: Int, error: CheckpointError)?>(nil)
    withoutActuallyEscaping(body) { body in
      // Callers promise that calls may run at the same time; all have returned at the end.
      nonisolated(unsafe) let body = body
      DispatchQueue.concurrentPerform(iterations: min(threads, count)) { _ in
        while fault.withLock({ $0 == nil }) {
          let number = next.wrappingAdd(1, ordering: .relaxed).oldValue
          guard number < count else { return }
          do throws(CheckpointError) {
            try body(number)
          } catch {
            fault.withLock { if number < $0?.number ?? .max { $0 = (number, error) } }
          }
        }
      }
    }
    if let fault = fault.withLock({ $0 }) { throw fault.error }
  }
}
