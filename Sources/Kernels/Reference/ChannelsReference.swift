extension Reference {
  /// The dot products of the rows of a and b [rows, columns].
  package static func rowProducts(_ a: [Float], _ b: [Float], columns: Int) -> [Double] {
    var sums = Array(repeating: 0.0, count: a.count / columns)
    for index in a.indices { sums[index / columns] += Double(a[index]) * Double(b[index]) }
    return sums
  }

  /// The dot products of the columns of a and b [rows, columns].
  package static func columnProducts(_ a: [Float], _ b: [Float], columns: Int) -> [Double] {
    var sums = Array(repeating: 0.0, count: columns)
    for index in a.indices { sums[index % columns] += Double(a[index]) * Double(b[index]) }
    return sums
  }

  /// x [rows, columns], each element times the factors of its row and of its column.
  package static func scaledChannels(
    of x: [Float],
    rowFactors: [Float],
    columnFactors: [Float]
  ) -> [Double] {
    x.indices.map { index in
      let (row, column) = index.quotientAndRemainder(dividingBy: columnFactors.count)
      return Double(x[index]) * Double(rowFactors[row]) * Double(columnFactors[column])
    }
  }
}
