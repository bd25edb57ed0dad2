package import KaratEngine
package import KaratTensors
import Synchronization

/// Keeps states in memory.
package final class MemoryArchive: TrainingArchive {
  private let content: Mutex<(states: [Int: MemorySource], metrics: [TrainingMetrics])> = Mutex(
    ([:], [])
  )

  private let parts: Mutex<[String: MemoryArchive]> = Mutex([:])

  package init() {}

  package func part(_ name: String) -> any TrainingArchive { self[name] }

  /// The archive of a part.
  package subscript(name: String) -> MemoryArchive {
    parts.withLock { parts in
      let part = parts[name] ?? MemoryArchive()
      parts[name] = part
      return part
    }
  }

  /// Lets a part go.
  package func forget(_ name: String) { parts.withLock { $0[name] = nil } }

  package var states: [Int: MemorySource] { content.withLock(\.states) }
  package var metrics: [TrainingMetrics] { content.withLock(\.metrics) }

  package func newest() throws -> (any TensorSource)? {
    states.max { $0.key < $1.key }?.value
  }

  package func save(_ state: any TensorSource, step: Int, keeping count: Int) throws {
    guard let state = state as? MemorySource else { return }
    content.withLock { content in
      content.states[step] = state
      for old in content.states.keys.sorted().dropLast(count) { content.states[old] = nil }
    }
  }

  package func append(_ metrics: TrainingMetrics) throws {
    content.withLock { $0.metrics.append(metrics) }
  }

  package func rewind(to step: Int) throws {
    content.withLock { $0.metrics.removeAll { $0.step > step } }
  }
}
