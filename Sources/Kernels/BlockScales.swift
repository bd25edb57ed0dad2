import CKernels
package import KaratTensors

/// The scales of a matrix that is stored as codes: one for each block of rows and columns.
///
/// A number is `code · scale` of its block. Blocks at the lower and right edge may be smaller. One
/// scale for each row is the case of blocks of 1 × columns.
package struct BlockScales: Sendable {
  /// The extents of a block: rows, columns.
  package let block: (rows: Int, columns: Int)
  /// The extents of the matrix: rows, columns.
  package let matrix: (rows: Int, columns: Int)
  private let scales: [Float]
  private let blocksAcross: Int

  /// Puts scales, row by row of blocks, beside the matrix that they belong to.
  ///
  /// - Precondition: there are as many scales as blocks, and no extent of a block is below 1.
  package init(
    _ scales: [Float],
    block: (rows: Int, columns: Int),
    matrix: (rows: Int, columns: Int)
  ) {
    let grid = Self.grid(of: matrix, block: block)
    precondition(scales.count == grid.rows * grid.columns, "every block has one scale")
    self.scales = scales
    self.block = block
    self.matrix = matrix
    blocksAcross = grid.columns
  }

  /// How many blocks a matrix has from top to bottom and from left to right.
  package static func grid(
    of matrix: (rows: Int, columns: Int),
    block: (rows: Int, columns: Int)
  ) -> (rows: Int, columns: Int) {
    func blocks(_ extent: Int, _ size: Int) -> Int { extent / size + (extent % size == 0 ? 0 : 1) }
    return (blocks(matrix.rows, block.rows), blocks(matrix.columns, block.columns))
  }

  /// Turns a run of the matrix's codes into float32.
  ///
  /// - Parameters:
  ///   - codes: I8 or 8-bit floats, of any shape.
  ///   - first: the place of the first of them in the matrix, row by row.
  ///   - workers: the threads.
  /// - Returns: float32 of the same shape.
  package func dequantize(_ codes: Tensor, from first: Int, on workers: Workers) -> Tensor {
    Tensor(.f32, codes.shape) { bytes in
      guard let out = bytes.baseAddress?.assumingMemoryBound(to: Float.self) else { return }
      codes.withBytes { source in
        guard let source = source.baseAddress else { return }
        workers.forEachRun(of: elementsPerTile, in: codes.shape.elementCount) { run in
          convert(source + run.lowerBound, codes.dtype, run.count, out + run.lowerBound)
          scale(out + run.lowerBound, from: first + run.lowerBound, count: run.count)
        }
      }
    }
  }

  private func convert(
    _ codes: UnsafeRawPointer,
    _ dtype: DType,
    _ count: Int,
    _ out: UnsafeMutablePointer<Float>
  ) {
    if let format = dtype.castSource {
      castToFloat32(codes, from: format, count: count, out: out, on: Workers(threads: 1))
    } else {
      precondition(dtype == .i8, "\(dtype.rawValue) holds no codes of 8 bits")
      kernels.dequantize_row(codes.assumingMemoryBound(to: Int8.self), count, 1, out)
    }
  }

  /// Multiplies numbers that start anywhere in the matrix by the scales of their blocks.
  private func scale(_ numbers: UnsafeMutablePointer<Float>, from first: Int, count: Int) {
    var done = 0
    while done < count {
      let (row, column) = (first + done).quotientAndRemainder(dividingBy: matrix.columns)
      let rest = min(matrix.columns - column, count - done)
      scales.withUnsafeBufferPointer { scales in
        guard let scales = scales.baseAddress else { return }
        kernels.scale_blocks(
          numbers + done,
          column,
          rest,
          scales + row / block.rows * blocksAcross,
          block.columns
        )
      }
      done += rest
    }
  }
}

extension Tensor {
  /// Codes I8[rows, columns] times the scales F32[rows, 1] of their rows, as float32.
  package func dequantized(byRows scales: Tensor, on workers: Workers) -> Tensor {
    BlockScales(
      scales.elements(as: Float.self),
      block: (1, max(shape[1], 1)),
      matrix: (shape[0], shape[1])
    )
    .dequantize(self, from: 0, on: workers)
  }
}
