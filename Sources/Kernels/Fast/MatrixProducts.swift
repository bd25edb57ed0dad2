/// Multiplies matrices: out [rows, columns] = a [rows, inner] · b [inner, columns].
package func matmul(
  a: UnsafePointer<Float>,
  rows: Int,
  inner: Int,
  b: UnsafePointer<Float>,
  columns: Int,
  out: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  let width = columns
  forEachBlock(rows: rows, columns: columns, on: workers) { rows, columns in
    BLAS.multiply(
      BLAS.Factor(pointer: a + rows.lowerBound * inner, stride: inner),
      BLAS.Factor(pointer: b + columns.lowerBound, stride: width),
      m: rows.count,
      n: columns.count,
      k: inner,
      beta: 0,
      into: out + rows.lowerBound * width + columns.lowerBound,
      stride: width
    )
  }
}

/// Adds the Gram matrix of x [rows, features], xᵀ · x, to a symmetric matrix [features, features].
///
/// Blocks on and above the diagonal are computed and mirrored below it.
package func gram(
  x: UnsafePointer<Float>,
  rows: Int,
  features: Int,
  accumulateInto sums: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  let size = 192
  let blocks = (features + size - 1) / size
  workers.forEachTile(blocks * blocks) { tile in
    let row = tile / blocks * size
    let column = tile % blocks * size
    guard row <= column else { return }
    let height = min(size, features - row)
    let width = min(size, features - column)
    BLAS.multiply(
      BLAS.Factor(pointer: x + row, stride: features, transposed: true),
      BLAS.Factor(pointer: x + column, stride: features),
      m: height,
      n: width,
      k: rows,
      beta: 1,
      into: sums + row * features + column,
      stride: features
    )
    for i in row..<row + height {
      for j in max(i, column)..<column + width {
        sums[j * features + i] = sums[i * features + j]
      }
    }
  }
}

/// Adds a product of matrices: target [rows, columns] += a [rows, inner] · b [inner, columns].
func addProduct(
  _ a: BLAS.Factor,
  _ b: BLAS.Factor,
  rows: Int,
  columns: Int,
  inner: Int,
  to target: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
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
  fileprivate func row(_ row: Int) -> BLAS.Factor {
    BLAS.Factor(
      pointer: pointer + (transposed ? row : row * stride),
      stride: stride,
      transposed: transposed
    )
  }

  /// The same from a column on, as the product takes it.
  fileprivate func column(_ column: Int) -> BLAS.Factor {
    BLAS.Factor(
      pointer: pointer + (transposed ? column * stride : column),
      stride: stride,
      transposed: transposed
    )
  }
}

/// Cuts a matrix into blocks that are large enough for BLAS to reach its speed and small enough
/// to keep all threads busy to the end.
private func forEachBlock(
  rows: Int,
  columns: Int,
  on workers: Workers,
  _ body: (_ rows: Range<Int>, _ columns: Range<Int>) -> Void
) {
  let height = 256
  let width = 384
  let across = (columns + width - 1) / width
  let down = (rows + height - 1) / height
  workers.forEachTile(across * down) { tile in
    let row = tile % down * height
    let column = tile / down * width
    body(row..<min(rows, row + height), column..<min(columns, column + width))
  }
}
