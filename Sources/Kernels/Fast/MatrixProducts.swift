/// In which numbers the factors of a product are; sums are float32.
package enum ProductArithmetic: Sendable, Hashable {
  /// As they come.
  case float32
  /// Rounded to BF16, ties to even, by the processor's own instruction; subnormal factors count as 0.
  ///
  /// - Precondition: `hasBFloat16Products`.
  case bfloat16
}

/// Adds a product of matrices: target [rows, columns] += a [rows, inner] · b [inner, columns].
func addProduct(
  _ a: BLAS.Factor,
  _ b: BLAS.Factor,
  rows: Int,
  columns: Int,
  inner: Int,
  to target: UnsafeMutablePointer<Float>,
  in arithmetic: ProductArithmetic = .float32,
  on workers: Workers
) {
  guard inner > 0 else { return }
  if arithmetic == .bfloat16 {
    bfloat16Product(
      a,
      b,
      rows: rows,
      columns: columns,
      inner: inner,
      isAdded: true,
      to: target,
      on: workers
    )
    return
  }
  let width = columns
  forEachBlock(rows: rows, columns: columns, on: workers) { rows, columns in
    BLAS.multiply(
      a.row(rows.lowerBound),
      b.column(columns.lowerBound),
      m: rows.count,
      n: columns.count,
      k: inner,
      beta: 1,
      into: target + rows.lowerBound * width + columns.lowerBound,
      stride: width
    )
  }
}

extension BLAS.Factor {
  /// The same from a row on, as the product takes it.
  func row(_ row: Int) -> BLAS.Factor {
    BLAS.Factor(
      pointer: pointer + (transposed ? row : row * stride),
      stride: stride,
      transposed: transposed
    )
  }

  /// The same from a column on, as the product takes it.
  func column(_ column: Int) -> BLAS.Factor {
    BLAS.Factor(
      pointer: pointer + (transposed ? column * stride : column),
      stride: stride,
      transposed: transposed
    )
  }
}

/// Cuts the result of a product into blocks: rows into an even number of equal parts of at most 288,
/// so that two threads end together, columns into equal parts of at most 1536, since BLAS packs a
/// factor anew for each block.
private func forEachBlock(
  rows: Int,
  columns: Int,
  on workers: Workers,
  _ body: (_ rows: Range<Int>, _ columns: Range<Int>) -> Void
) {
  let down = 2 * ((rows + 575) / 576)
  let across = (columns + 1535) / 1536
  workers.forEachTile(down * across) { tile in
    let (row, column) = (tile % down, tile / down)
    let rows = rows * row / down..<rows * (row + 1) / down
    let columns = columns * column / across..<columns * (column + 1) / across
    if !rows.isEmpty { body(rows, columns) }
  }
}
