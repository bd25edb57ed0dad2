import KaratBytes
import KaratGraphs
import KaratTensors

/// What crosses from block to block, for every window: in memory up to a limit, in a file beyond it.
final class StateStore {
  /// Which value of which window.
  struct Key: Hashable {
    let window: Int
    let value: ValueID
  }

  private struct Place {
    let dtype: DType
    let shape: Shape
    let byteCount: Int
    let offset: Int
  }

  private let limit: Int?
  private var held: [Key: Tensor] = [:]
  private var heldBytes = 0
  private var file: ScratchFile?
  private var places: [Key: Place] = [:]
  /// Offsets that are free again, by how many bytes fit there.
  private var free: [Int: [Int]] = [:]
  private var end = 0

  /// - Parameter limit: the most bytes that are held in memory, or nil for all.
  init(limit: Int?) {
    self.limit = limit
  }

  /// Keeps a value.
  ///
  /// - Throws: `FileError` where it has to go to a file, and cannot.
  func set(_ tensor: Tensor, for key: Key) throws {
    remove(key)
    guard let limit, heldBytes + tensor.byteCount > limit else {
      held[key] = tensor
      heldBytes += tensor.byteCount
      return
    }
    let file = try self.file ?? ScratchFile()
    self.file = file
    let offset = free[tensor.byteCount]?.popLast() ?? end
    try tensor.withBytes { bytes in try file.write(bytes, at: offset) }
    end = max(end, offset + tensor.byteCount)
    places[key] = Place(
      dtype: tensor.dtype,
      shape: tensor.shape,
      byteCount: tensor.byteCount,
      offset: offset
    )
  }

  /// A value that was kept, or a range of its rows, along the extent of the tokens.
  ///
  /// - Parameters:
  ///   - key: which value: [1, tokens, …].
  ///   - tokens: which tokens; nil for all.
  /// - Returns: the value, or [1, tokens.count, …] of it.
  /// - Throws: `FileError` where it is in a file, and cannot be read.
  func tensor(_ key: Key, tokens: Range<Int>? = nil) throws -> Tensor {
    guard let shape = held[key]?.shape ?? places[key]?.shape else {
      preconditionFailure("a stage reads what an earlier one kept")
    }
    let tokens = tokens ?? 0..<shape[1]
    let cut = Shape([1, tokens.count] + shape.dimensions.dropFirst(2))
    let row = shape.dimensions.dropFirst(2).reduce(1, *)
    if let tensor = held[key] {
      let run = tokens.lowerBound * row..<tokens.upperBound * row
      return tensor.elements(run).reshaped(to: cut)
    }
    guard let file, let place = places[key] else {
      preconditionFailure("what is not held is in the file")
    }
    let rowBytes = place.byteCount / max(shape[1], 1)
    return try Tensor(place.dtype, cut) { bytes in
      try file.read(into: bytes, at: place.offset + tokens.lowerBound * rowBytes)
    }
  }

  /// Lets a value go.
  func remove(_ key: Key) {
    if let tensor = held.removeValue(forKey: key) { heldBytes -= tensor.byteCount }
    if let place = places.removeValue(forKey: key) {
      free[place.byteCount, default: []].append(place.offset)
    }
  }
}
