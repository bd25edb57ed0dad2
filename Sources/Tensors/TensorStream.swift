import Dispatch
import Foundation
import Synchronization

/// Tensors of a source on their way to a writer: piece by piece, some pieces ahead on other threads.
///
/// Reading, computing and writing overlap: while the caller writes one piece, the next ones are
/// pulled. A piece is a run of whole rows of about `pieceByteCount` bytes, or a part of a row that is
/// longer, so memory stays below `(ahead + 2 · threads) · pieceByteCount` for tensors of any size;
/// only tensors that are not divisible come whole.
package struct TensorStream: Sendable {
  /// A run of one tensor's elements.
  package struct Piece: Sendable {
    /// The tensor's name.
    package let name: TensorName
    /// The elements, counted in row-major order.
    package let elements: Range<Int>
  }

  /// The pieces in the order in which they come.
  package let pieces: [Piece]

  private let source: any TensorSource
  private let threads: Int
  private let ahead: Int

  /// Cuts tensors into pieces.
  ///
  /// - Parameters:
  ///   - names: the tensors in the order in which they are wanted.
  ///   - source: what they are pulled from.
  ///   - pieceByteCount: how many bytes a piece should have.
  ///   - threads: how many threads pull; nil for one on each core.
  ///   - ahead: how many pieces may wait to be written.
  /// - Throws: `CheckpointError` where a tensor is not there.
  package init(
    _ names: [TensorName],
    of source: any TensorSource,
    pieceByteCount: Int = 2 << 20,
    threads: Int? = nil,
    ahead: Int = 8
  ) throws(CheckpointError) {
    var pieces: [Piece] = []
    pieces.reserveCapacity(names.count)
    for name in names {
      guard let info = source.manifest[name] else { throw .missing(name, in: "the source") }
      let size = source.isDivisible(name) ? pieceByteCount : .max
      for elements in info.runs(ofBytes: size) {
        pieces.append(Piece(name: name, elements: elements))
      }
    }
    self.pieces = pieces
    self.source = source
    self.threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
    self.ahead = ahead
  }

  /// Calls `body` with every piece in order, on the caller's thread.
  ///
  /// - Throws: what pulling the first piece that cannot be had throws, or what `body` throws;
  ///   nothing is pulled any more when it returns.
  package func forEach(
    _ body: (Piece, Tensor) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    guard pieces.count > 1, threads > 1 else {
      for piece in pieces { try body(piece, try pull(piece)) }
      return
    }
    let relay = Relay(slots: min(ahead, pieces.count))
    let pullers = DispatchGroup()
    for _ in 0..<min(threads, pieces.count) {
      DispatchQueue.global().async(group: pullers) {
        while let place = relay.claim(below: pieces.count) {
          let piece = pieces[place]
          relay.put(Result { () throws(CheckpointError) in try pull(piece) }, at: place)
        }
      }
    }
    defer {
      relay.stop(threads: threads)
      pullers.wait()
    }
    for (place, piece) in pieces.enumerated() { try body(piece, try relay.take(at: place).get()) }
  }

  private func pull(_ piece: Piece) throws(CheckpointError) -> Tensor {
    let info = source.manifest[piece.name]
    let isWhole = piece.elements == 0..<(info?.shape.elementCount ?? 0)
    let tensor =
      isWhole ? try source.tensor(piece.name) : try source.elements(piece.elements, of: piece.name)
    guard tensor.dtype == info?.dtype, tensor.shape.elementCount == piece.elements.count else {
      throw CheckpointError(
        .malformed,
        tensor: piece.name,
        "what came is \(tensor.shape.elementCount) elements of \(tensor.dtype.rawValue);"
          + " \(piece.elements.count) of \(info?.dtype.rawValue ?? "nothing") were promised."
      )
    }
    return tensor
  }
}

/// Hands results over from several threads to one, in the order of their places.
private final class Relay: Sendable {
  // One for each place that may wait to be taken; places share them in turn.
  private let full: [DispatchSemaphore]
  /// Places that may be claimed before the next one is taken.
  private let room: DispatchSemaphore
  private let results: Mutex<[Int: Result<Tensor, CheckpointError>]> = Mutex([:])
  private let next = Atomic(0)
  private let isStopped = Atomic(false)

  init(slots count: Int) {
    full = (0..<count).map { _ in DispatchSemaphore(value: 0) }
    room = DispatchSemaphore(value: 0)
    for _ in 0..<count { room.signal() }
  }

  /// The next place to fill, once there is room for it, or nil where nothing is left to do.
  func claim(below end: Int) -> Int? {
    // Room before the place: places are then claimed in order, and two never share a semaphore.
    room.wait()
    guard !isStopped.load(ordering: .relaxed) else { return nil }
    let place = next.add(1, ordering: .relaxed).oldValue
    return place < end ? place : nil
  }

  func put(_ result: Result<Tensor, CheckpointError>, at place: Int) {
    results.withLock { $0[place] = result }
    full[place % full.count].signal()
  }

  /// The result of a place, once it is there.
  func take(at place: Int) -> Result<Tensor, CheckpointError> {
    full[place % full.count].wait()
    let result = results.withLock { $0.removeValue(forKey: place) }
    room.signal()
    guard let result else { preconditionFailure("a result is put before its place is full") }
    return result
  }

  /// Lets every thread that waits for room go.
  func stop(threads: Int) {
    isStopped.store(true, ordering: .relaxed)
    for _ in 0..<threads { room.signal() }
  }
}

extension TensorInfo {
  /// Cuts the elements into runs of about so many bytes.
  ///
  /// A run is some whole rows of the innermost dimension, or a part of a row that is longer. A tensor
  /// without elements is one run of none.
  package func runs(ofBytes size: Int) -> [Range<Int>] {
    let count = shape.elementCount
    let wanted = max(size / dtype.block.bytes, 1)
    let blocks = count / dtype.block.elements
    guard blocks > wanted else { return [0..<count] }
    let row = shape.dimensions.last ?? 1
    let rowBlocks = row / dtype.block.elements
    // Rows that do not fill whole blocks are cut like a single long one.
    let isWholeRows = row.isMultiple(of: dtype.block.elements) && rowBlocks <= wanted
    let step =
      (isWholeRows ? wanted / rowBlocks * rowBlocks : wanted) * dtype.block.elements
    return stride(from: 0, to: count, by: step).map { $0..<min($0 + step, count) }
  }
}
