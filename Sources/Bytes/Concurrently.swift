import Dispatch
import Synchronization

/// Calls a closure once with each of `0..<count`, in ascending order of start, several at a time on
/// other threads; returns when all calls have returned.
///
/// After an error no further call starts.
///
/// - Parameters:
///   - count: how many calls.
///   - threads: the most calls at a time, at least 1.
///   - body: the work.
/// - Throws: of the calls that throw, the error of the first, whatever the number of threads.
package func concurrently<E: Error>(
  _ count: Int,
  threads: Int,
  _ body: @Sendable (Int) throws(E) -> Void
) throws(E) {
  precondition(threads >= 1, "work needs a thread")
  guard count > 1, threads > 1 else {
    for index in 0..<count { try body(index) }
    return
  }
  let next = Atomic<Int>(0)
  // Calls before the first that throws have all started, so the least index is always the same.
  let fault = Mutex<(index: Int, error: E)?>(nil)
  withoutActuallyEscaping(body) { body in
    DispatchQueue.concurrentPerform(iterations: min(threads, count)) { _ in
      while true {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard index < count else { return }
        do throws(E) {
          try body(index)
        } catch {
          next.store(count, ordering: .relaxed)
          fault.withLock { if index < $0?.index ?? .max { $0 = (index, error) } }
        }
      }
    }
  }
  if let error = fault.withLock({ $0?.error }) { throw error }
}
