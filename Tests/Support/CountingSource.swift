import Foundation
package import KaratTensors

/// A source that counts the elements that are pulled from it.
package final class CountingSource: TensorSource {
  private let base: any TensorSource
  private nonisolated(unsafe) var count = 0
  private let lock = NSLock()

  package init(_ base: any TensorSource) { self.base = base }

  /// How many elements were pulled.
  package var pulled: Int { lock.withLock { count } }
  package var manifest: Manifest { base.manifest }
  package func isDivisible(_ name: TensorName) -> Bool { base.isDivisible(name) }

  package func tensor(_ name: TensorName) throws(CheckpointError) -> Tensor {
    let tensor = try base.tensor(name)
    lock.withLock { count += tensor.shape.elementCount }
    return tensor
  }

  package func elements(_ range: Range<Int>, of name: TensorName) throws(CheckpointError) -> Tensor
  {
    lock.withLock { count += range.count }
    return try base.elements(range, of: name)
  }
}
