package import KaratBytes
import Synchronization

/// Adds up bytes as they are written.
package final class ByteCounter: Sendable {
  private let done = Mutex(0)
  private let total: Int
  private let progress: ProgressReporter

  package init(total: Int, _ progress: ProgressReporter) {
    self.total = total
    self.progress = progress
  }

  package func add(_ bytes: Int) {
    let now = done.withLock { done in
      done += bytes
      return done
    }
    progress.report("write", now, of: total, "bytes")
  }
}
