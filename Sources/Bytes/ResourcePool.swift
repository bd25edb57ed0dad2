import Synchronization

/// Lends things that are dear to make, such as work memory, and keeps those that come back.
///
/// It holds as many as were ever in use at a time. Any thread may borrow.
package final class ResourcePool<Resource>: Sendable {
  // Unchecked: a resource is in the pool, or in the hands of one borrower.
  private struct Shelf: @unchecked Sendable {
    var idle: [Resource] = []
  }

  private let shelf = Mutex(Shelf())
  private let make: @Sendable () -> Resource

  /// Makes an empty pool.
  ///
  /// - Parameter make: makes a resource where none is idle.
  package init(_ make: @escaping @Sendable () -> Resource) {
    self.make = make
  }

  /// Lends a resource for the time of the call.
  ///
  /// - Throws: what the closure throws.
  package func withResource<R, E: Error>(
    _ body: (Resource) throws(E) -> R
  ) throws(E) -> R {
    let resource = shelf.withLock { $0.idle.popLast() } ?? make()
    defer { shelf.withLock { $0.idle.append(resource) } }
    return try body(resource)
  }
}
