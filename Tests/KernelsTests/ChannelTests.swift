import KaratKernels
import Testing

extension Kernels {
  @Test(arguments: [(1, 1), (3, 7), (70, 33), (129, 300), (2, 5_000)])
  func productsOfRowsAndColumns(rows: Int, columns: Int) {
    var numbers = Numbers(seed: 60)
    let (a, b) = (numbers.floats(rows * columns), numbers.floats(rows * columns))
    let (byRow, byColumn) = (numbers.floats(rows), numbers.floats(columns))
    let expectedRows = sum(byRow, Reference.rowProducts(a, b, columns: columns).map { Float($0) })
    let expectedColumns = sum(
      byColumn,
      Reference.columnProducts(a, b, columns: columns).map { Float($0) }
    )
    sweep { workers in
      added(to: byRow) {
        addRowProducts(a, b, rows: rows, columns: columns, addTo: $0, on: workers)
      }
        + added(to: byColumn) {
          addColumnProducts(a, b, rows: rows, columns: columns, addTo: $0, on: workers)
        }
    } check: { level, found in
      expectClose(Array(found[..<rows]), expectedRows, tolerance: 1e-5, "\(level), rows")
      expectClose(Array(found[rows...]), expectedColumns, tolerance: 1e-5, "\(level), columns")
    }
  }

  @Test(arguments: [(1, 1), (3, 7), (70, 33), (2, 5_000)])
  func scalesChannels(rows: Int, columns: Int) {
    var numbers = Numbers(seed: 61)
    let x = numbers.floats(rows * columns)
    let (byRow, byColumn) = (numbers.floats(rows), numbers.floats(columns))
    let ones = (Array(repeating: Float(1), count: rows), Array(repeating: Float(1), count: columns))
    for (rowFactors, columnFactors) in [(byRow, byColumn), (byRow, ones.1), (ones.0, byColumn)] {
      let expected = Reference.scaledChannels(
        of: x,
        rowFactors: rowFactors,
        columnFactors: columnFactors
      ).map { Float($0) }
      sweep { workers in
        added(to: x) { target in
          withPointer(rowFactors) { rowAddress in
            withPointer(columnFactors) { columnAddress in
              scaleChannels(
                of: target,
                rows: rows,
                columns: columns,
                rowFactors: rowAddress,
                columnFactors: columnFactors == ones.1 ? nil : columnAddress,
                on: workers
              )
            }
          }
        }
      } check: { level, found in
        expectClose(found, expected, tolerance: 1e-6, "\(level)")
      }
    }
  }
}
