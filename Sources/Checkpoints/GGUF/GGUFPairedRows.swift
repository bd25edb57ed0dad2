package import KaratTensors

/// How the rows of llama's queries and keys lie in GGUF.
///
/// llama.cpp rotates neighbours, Hugging Face the two halves of a head. So of a head's n rows, GGUF
/// holds 0, n/2, 1, n/2 + 1, … in this order.
package struct GGUFPairedRows: Sendable, Hashable {
  /// How many heads share the rows equally.
  let heads: Int
  /// The rows of a head; even.
  let headSize: Int

  /// Where GGUF holds one of Hugging Face's rows.
  package func paired(_ row: Int) -> Int {
    let (head, place) = row.quotientAndRemainder(dividingBy: headSize)
    let (half, pair) = place.quotientAndRemainder(dividingBy: headSize / 2)
    return head * headSize + pair * 2 + half
  }

  /// Where Hugging Face holds one of GGUF's rows.
  package func halved(_ row: Int) -> Int {
    let (head, place) = row.quotientAndRemainder(dividingBy: headSize)
    let (pair, half) = place.quotientAndRemainder(dividingBy: 2)
    return head * headSize + half * (headSize / 2) + pair
  }

  /// Checks that a tensor has as many rows.
  package func check(
    _ shape: Shape,
    of name: TensorName,
    file: String
  ) throws(CheckpointError) {
    guard shape.rank > 0, shape[0] == heads * headSize else {
      throw CheckpointError(
        .malformed,
        file: file,
        tensor: name,
        "its shape is \(shape); \(heads) heads of \(headSize) rows were needed."
      )
    }
  }

  /// A run of elements of a tensor whose rows are taken from elsewhere.
  ///
  /// - Parameters:
  ///   - range: elements in row-major order, after the change.
  ///   - info: type and shape, which stay; each element has whole bytes.
  ///   - origin: where a row is taken from: `paired` or `halved`.
  ///   - read: reads a run of elements as they lie before the change.
  /// - Returns: a tensor of one dimension.
  /// - Throws: what `read` throws.
  package func elements(
    _ range: Range<Int>,
    of info: TensorInfo,
    from origin: (Int) -> Int,
    read: (Range<Int>) throws(CheckpointError) -> Tensor
  ) throws(CheckpointError) -> Tensor {
    let width = info.shape.dimensions.dropFirst().reduce(1, *)
    let size = info.dtype.block.bytes
    return try Tensor(info.dtype, [range.count]) { output throws(CheckpointError) in
      var index = range.lowerBound
      while index < range.upperBound {
        let (row, column) = index.quotientAndRemainder(dividingBy: width)
        let count = min(width - column, range.upperBound - index)
        let start = origin(row) * width + column
        let piece = try read(start..<start + count)
        piece.withBytes { bytes in
          let target = (index - range.lowerBound) * size
          output[target..<target + count * size].copyBytes(from: bytes)
        }
        index += count
      }
    }
  }
}
