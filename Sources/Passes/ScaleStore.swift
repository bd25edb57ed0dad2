import KaratBytes
import KaratTensors
import Synchronization

/// The scales of many weights: in memory up to a limit, in a file beyond it.
///
/// The rows of a very large model are many, and the scale of each is needed twice: with the row's codes,
/// and when the scales are written themselves.
final class ScaleStore: Sendable {
  /// Where the scales of one weight are.
  enum Place: Sendable {
    /// In memory.
    case held([Float])
    /// In the file, from a byte on.
    case filed(ScratchFile, offset: Int)
  }

  private struct State {
    var heldBytes = 0
    var file: ScratchFile?
    var end = 0
  }
  private let limit: Int
  private let state = Mutex(State())
  private static let stride = MemoryLayout<Float>.stride

  /// - Parameter limit: the most bytes that are held in memory, or nil for all.
  init(limit: Int?) {
    self.limit = limit ?? .max
  }

  /// Keeps the scales of one weight.
  ///
  /// - Throws: `CheckpointError` where they have to go to a file, and cannot.
  func keep(_ scales: [Float]) throws(CheckpointError) -> Place {
    let byteCount = scales.count * Self.stride
    return try state.withLock { state throws(CheckpointError) in
      guard state.heldBytes + byteCount > limit else {
        state.heldBytes += byteCount
        return .held(scales)
      }
      do throws(FileError) {
        let file = if let file = state.file { file } else { try ScratchFile() }
        let offset = state.end
        try scales.withUnsafeBufferPointer { scales throws(FileError) in
          try file.write(UnsafeRawBufferPointer(scales), at: offset)
        }
        state.file = file
        state.end += byteCount
        return .filed(file, offset: offset)
      } catch {
        throw CheckpointError(.inputOutput, file: error.path, error.message)
      }
    }
  }

  /// The scales of some rows of a weight.
  ///
  /// - Throws: `CheckpointError` where the file cannot be read.
  func scales(_ rows: Range<Int>, at place: Place) throws(CheckpointError) -> [Float] {
    let (file, offset): (ScratchFile, Int)
    switch place {
    case .held(let scales): return Array(scales[rows])
    case .filed(let own, let start): (file, offset) = (own, start)
    }
    var scales = Array(repeating: Float(0), count: rows.count)
    do throws(FileError) {
      try scales.withUnsafeMutableBufferPointer { scales throws(FileError) in
        let first = offset + rows.lowerBound * Self.stride
        try file.read(into: UnsafeMutableRawBufferPointer(scales), at: first)
      }
    } catch {
      throw CheckpointError(.inputOutput, file: error.path, error.message)
    }
    return scales
  }
}
