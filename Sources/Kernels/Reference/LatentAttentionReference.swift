import Foundation

extension Reference {
  /// Causal attention of queries [batch, queries, heads, content | rotary] to keys and values that
  /// are made of rows [batch, keys, latent | rotated key] by weight [heads, content + value, rank].
  package static func latentAttention(
    content: [Float],
    rotary: [Float],
    rows: [Float],
    weight: [Float],
    shape: LatentAttentionShape
  ) -> [Float] {
    var out: [Float] = []
    for sequence in 0..<shape.batch {
      for query in 0..<shape.queries {
        for head in 0..<shape.heads {
          let place = (sequence * shape.queries + query) * shape.heads + head
          let visible = 0..<max(0, shape.keys - shape.queries + query + 1)
          func latent(_ key: Int, _ i: Int) -> Double {
            Double(rows[(sequence * shape.keys + key) * shape.rowSize + i])
          }
          func mapped(_ key: Int, _ row: Int) -> Double {
            (0..<shape.rank).reduce(0.0) { sum, i in
              let place = (head * shape.weightRows + row) * shape.rank + i
              return sum + Double(weight[place]) * latent(key, i)
            }
          }
          let scores = visible.map { key in
            var score = 0.0
            for i in 0..<shape.contentSize {
              score += Double(content[place * shape.contentSize + i]) * mapped(key, i)
            }
            for i in 0..<shape.rotarySize {
              score += Double(rotary[place * shape.rotarySize + i]) * latent(key, shape.rank + i)
            }
            return score * Double(shape.scale)
          }
          let weights = scores.map { exp($0 - (scores.max() ?? 0)) }
          let total = weights.reduce(0, +)
          for i in 0..<shape.valueSize {
            let sum = zip(visible, weights).reduce(0.0) { sum, pair in
              sum + pair.1 * mapped(pair.0, shape.contentSize + i)
            }
            out.append(total > 0 ? Float(sum / total) : 0)
          }
        }
      }
    }
    return out
  }
}
