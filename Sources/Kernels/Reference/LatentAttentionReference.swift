import Foundation

extension Reference {
  /// Causal attention of queries [batch, queries, heads, content | rotary] to keys and values that
  /// are made of rows [batch, keys, latent | rotated key] by weight [heads, content + value, rank].
  package static func latentAttention<Number: BinaryFloatingPoint>(
    content: [Number],
    rotary: [Number],
    rows: [Number],
    weight: [Number],
    shape: LatentAttentionShape
  ) -> [Number] {
    let content = content.map { Double($0) }
    let rotary = rotary.map { Double($0) }
    let rows = rows.map { Double($0) }
    let weight = weight.map { Double($0) }
    var out: [Double] = []
    for sequence in 0..<shape.batch {
      for query in 0..<shape.queries {
        for head in 0..<shape.heads {
          let place = (sequence * shape.queries + query) * shape.heads + head
          let visible = 0..<max(0, shape.keys - shape.queries + query + 1)
          func latent(_ key: Int, _ i: Int) -> Double {
            rows[(sequence * shape.keys + key) * shape.rowSize + i]
          }
          func mapped(_ key: Int, _ row: Int) -> Double {
            (0..<shape.rank).reduce(0.0) { sum, i in
              let place = (head * shape.weightRows + row) * shape.rank + i
              return sum + weight[place] * latent(key, i)
            }
          }
          let scores = visible.map { key in
            var score = 0.0
            for i in 0..<shape.contentSize {
              score += content[place * shape.contentSize + i] * mapped(key, i)
            }
            for i in 0..<shape.rotarySize {
              score += rotary[place * shape.rotarySize + i] * latent(key, shape.rank + i)
            }
            return score * Double(shape.scale)
          }
          let weights = softmax(scores)
          for i in 0..<shape.valueSize {
            out.append(
              zip(visible, weights).reduce(0.0) { sum, pair in
                sum + pair.1 * mapped(pair.0, shape.contentSize + i)
              }
            )
          }
        }
      }
    }
    return out.map { Number($0) }
  }

  /// The gradients of `latentAttention`, given that of its result: by way of keys and values.
  package static func latentAttentionGradient<Number: BinaryFloatingPoint>(
    content: [Number],
    rotary: [Number],
    rows: [Number],
    weight: [Number],
    shape: LatentAttentionShape,
    gradient: [Number]
  ) -> (content: [Number], rotary: [Number], rows: [Number], weight: [Number]) {
    let (size, heads) = (shape.querySize, shape.heads)
    let weight = weight.map { Double($0) }
    let rows = rows.map { Double($0) }
    let made = (0..<shape.batch * shape.keys * heads * shape.weightRows).map { place in
      let token = place / shape.weightRows / heads
      let row = place % (shape.weightRows * heads)
      return (0..<shape.rank).reduce(0.0) {
        $0 + weight[row * shape.rank + $1] * rows[token * shape.rowSize + $1]
      }
    }
    // Rows of one head: [content | rotary] of queries and keys, [value].
    func joined(_ count: Int, _ a: (Int, Int) -> Double, _ b: (Int, Int) -> Double) -> [Double] {
      (0..<count * size).map { place in
        let (row, i) = place.quotientAndRemainder(dividingBy: size)
        return i < shape.contentSize ? a(row, i) : b(row, i - shape.contentSize)
      }
    }
    let queries = joined(shape.batch * shape.queries * heads) {
      Double(content[$0 * shape.contentSize + $1])
    } _: {
      Double(rotary[$0 * shape.rotarySize + $1])
    }
    let keys = joined(shape.batch * shape.keys * heads) {
      made[$0 * shape.weightRows + $1]
    } _: {
      rows[$0 / heads * shape.rowSize + shape.rank + $1]
    }
    let values = (0..<shape.batch * shape.keys * heads * shape.valueSize).map { place in
      let (row, i) = place.quotientAndRemainder(dividingBy: shape.valueSize)
      return made[row * shape.weightRows + shape.contentSize + i]
    }
    var plain = shape.plain(
      heads: heads,
      keyValueHeads: heads,
      headSize: size,
      valueHeadSize: shape.valueSize
    )
    plain.batch = shape.batch
    let through = attentionGradient(
      q: queries,
      k: keys,
      v: values,
      shape: plain,
      gradient: gradient.map { Double($0) }
    )

    let toContent = content.indices.map { place in
      through.q[place / shape.contentSize * size + place % shape.contentSize]
    }
    let toRotary = rotary.indices.map { place in
      through.q[place / shape.rotarySize * size + shape.contentSize + place % shape.rotarySize]
    }
    var toRows = rows.map { _ in 0.0 }
    var toWeight = weight.map { _ in 0.0 }
    for row in 0..<shape.batch * shape.keys * heads {
      let (token, head) = row.quotientAndRemainder(dividingBy: heads)
      for i in 0..<shape.weightRows {
        let toMade =
          i < shape.contentSize
          ? through.k[row * size + i]
          : through.v[row * shape.valueSize + i - shape.contentSize]
        for j in 0..<shape.rank {
          let place = (head * shape.weightRows + i) * shape.rank + j
          toRows[token * shape.rowSize + j] += toMade * weight[place]
          toWeight[place] += toMade * rows[token * shape.rowSize + j]
        }
      }
      for i in 0..<shape.rotarySize {
        toRows[token * shape.rowSize + shape.rank + i] +=
          through.k[row * size + shape.contentSize + i]
      }
    }
    return (
      toContent.map { Number($0) }, toRotary.map { Number($0) }, toRows.map { Number($0) },
      toWeight.map { Number($0) }
    )
  }
}
