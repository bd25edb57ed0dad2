import KaratKernels
import KaratTensors
import Synchronization

/// Pulls parameters piece by piece into the form that they are computed with, several pieces at a
/// time, so that a tensor is never in memory as it is stored and as it is computed with at once.
struct ParameterReader: Sendable {
  let source: any TensorSource
  let workers: Workers
  /// Bytes of a piece.
  let piece: Int

  /// A parameter in float32, or as the integers that it is.
  func tensor(_ name: TensorName, as dtype: DType) throws(CheckpointError) -> Tensor {
    guard let info = source.manifest[name], dtype == .f32, source.isDivisible(name),
      info.shape.elementCount * 4 > 4 * piece
    else {
      let tensor = try source.tensor(name)
      return dtype == .f32 ? tensor.asFloat32(on: workers) : tensor
    }
    return try floats(0..<info.shape.elementCount, of: name).reshaped(to: info.shape)
  }

  /// Some rows of a parameter [rows, columns] in float32.
  ///
  /// - Precondition: the parameter is divisible.
  func rows(_ rows: Range<Int>, of name: TensorName, columns: Int) throws(CheckpointError) -> Tensor
  {
    try floats(rows.lowerBound * columns..<rows.upperBound * columns, of: name)
      .reshaped(to: [rows.count, columns])
  }

  /// An INT8 parameter [out, in] as the integer products read it.
  func packed(_ name: TensorName) throws(CheckpointError) -> PackedInt8Weight {
    guard let shape = source.manifest[name]?.shape, source.isDivisible(name) else {
      let codes = try source.tensor(name)
      return codes.withElements(as: Int8.self) { codes8 in
        guard let first = codes8.baseAddress else { preconditionFailure("weights have elements") }
        return PackedInt8Weight(
          codes: first,
          outFeatures: codes.shape[0],
          inFeatures: codes.shape[1],
          on: workers
        )
      }
    }
    let columns = shape[1]
    return try PackedInt8Weight(
      outFeatures: shape[0],
      inFeatures: columns,
      rowsAtATime: max(piece / max(columns, 1), 1),
      on: workers
    ) { (rows, body: (UnsafeRawBufferPointer) -> Void) throws(CheckpointError) in
      let run = rows.lowerBound * columns..<rows.upperBound * columns
      let isWhole = run.count == shape.elementCount
      let codes = try isWhole ? source.tensor(name) : source.elements(run, of: name)
      codes.withBytes(body)
    }
  }

  private func floats(_ run: Range<Int>, of name: TensorName) throws(CheckpointError) -> Tensor {
    let size = max(piece / 4, 1)
    return try Tensor(.f32, [run.count]) { bytes throws(CheckpointError) in
      // Pieces do not overlap.
      nonisolated(unsafe) let bytes = bytes
      let failure: Mutex<CheckpointError?> = Mutex(nil)
      workers.forEachTile((run.count + size - 1) / size) { tile in
        guard failure.withLock({ $0 == nil }) else { return }
        let part = tile * size..<min((tile + 1) * size, run.count)
        do throws(CheckpointError) {
          let elements = run.lowerBound + part.lowerBound..<run.lowerBound + part.upperBound
          let floats = try source.elements(elements, of: name).asFloat32(on: Workers(threads: 1))
          let target = UnsafeMutableRawBufferPointer(
            rebasing: bytes[part.lowerBound * 4..<part.upperBound * 4]
          )
          floats.withBytes { target.copyMemory(from: $0) }
        } catch {
          failure.withLock { $0 = $0 ?? error }
        }
      }
      if let failure = failure.withLock(\.self) { throw failure }
    }
  }
}
