import Foundation

/// Lines over a common axis, drawn as SVG that stands for itself in a page.
struct LineChart {
  /// What is drawn, with its unit.
  let title: String
  /// The numbers of one line, from left to right; those that are none leave a gap.
  let values: [Double?]
  /// Whether the axis shows powers of ten: for what falls by much.
  let isLogarithmic: Bool

  private static let (width, height) = (720.0, 220.0)
  private static let margin = (left: 64.0, right: 12.0, top: 28.0, bottom: 28.0)
  /// More points than pixels show nothing more.
  private static let mostPoints = 720

  init(_ title: String, _ values: [Double?]) {
    self.title = title
    self.values = Self.thinned(values.map { $0.flatMap { $0.isFinite ? $0 : nil } })
    steps = values.count
    let present = values.compactMap(\.self).filter(\.isFinite)
    let (least, greatest) = (present.min() ?? 0, present.max() ?? 0)
    isLogarithmic = least > 0 && greatest > 20 * least
  }

  private let steps: Int

  /// The chart as an `svg` element.
  var svg: String {
    let scaled = values.map { $0.map(scale) }
    let present = scaled.compactMap(\.self)
    guard var least = present.min(), var greatest = present.max() else { return "" }
    if greatest - least < 1e-12 { (least, greatest) = (least - 0.5, greatest + 0.5) }
    let (width, height, margin) = (Self.width, Self.height, Self.margin)
    func x(_ index: Int) -> Double {
      margin.left + (width - margin.left - margin.right) * Double(index)
        / Double(max(values.count - 1, 1))
    }
    func y(_ value: Double) -> Double {
      height - margin.bottom - (height - margin.top - margin.bottom) * (value - least)
        / (greatest - least)
    }
    var path = ""
    var isDrawing = false
    for (index, value) in scaled.enumerated() {
      if let value {
        path += "\(isDrawing ? "L" : "M")\(Self.short(x(index))) \(Self.short(y(value)))"
      }
      isDrawing = value != nil
    }
    let marks = (0...4).map { step in
      let value = least + (greatest - least) * Double(step) / 4
      let line = Self.short(y(value))
      return
        "<line class=\"grid\" x1=\"\(margin.left)\" x2=\"\(width - margin.right)\" y1=\"\(line)\""
        + " y2=\"\(line)\"/><text class=\"mark\" x=\"\(margin.left - 6)\" y=\"\(line)\" dy=\"4\""
        + " text-anchor=\"end\">\(Self.label(unscale(value)))</text>"
    }
    return """
      <svg viewBox="0 0 \(Int(width)) \(Int(height))" role="img" aria-label="\(title.escapedForHTML)">
      <text class="title" x="\(margin.left)" y="16">\(title.escapedForHTML)</text>
      \(marks.joined(separator: "\n"))
      <text class="mark" x="\(margin.left)" y="\(height - 8)">1</text>
      <text class="mark" x="\(width - margin.right)" y="\(height - 8)" text-anchor="end">step \(steps)</text>
      <path class="line" d="\(path)"/>
      </svg>
      """
  }

  private func scale(_ value: Double) -> Double { isLogarithmic ? log10(value) : value }
  private func unscale(_ value: Double) -> Double { isLogarithmic ? pow(10, value) : value }

  private static func short(_ number: Double) -> String { String(format: "%.1f", number) }
  private static func label(_ number: Double) -> String { String(format: "%.3g", number) }

  /// Means of neighbours, so many that there are no more than points to draw.
  private static func thinned(_ values: [Double?]) -> [Double?] {
    let width = (values.count + mostPoints - 1) / mostPoints
    guard width > 1 else { return values }
    return stride(from: 0, to: values.count, by: width).map { first in
      let part = values[first..<min(first + width, values.count)].compactMap(\.self)
      return part.isEmpty ? nil : part.reduce(0, +) / Double(part.count)
    }
  }
}

extension String {
  /// The text as HTML shows it.
  var escapedForHTML: String {
    replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
      .replacing("\"", with: "&quot;")
  }
}
