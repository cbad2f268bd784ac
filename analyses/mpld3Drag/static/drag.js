/* A plugin for mpld3: the figure's markers can be dragged, with the mouse, a finger or the arrow keys. */

const STEPS = { ArrowLeft: [-0.02, 0], ArrowRight: [0.02, 0], ArrowUp: [0, 0.02], ArrowDown: [0, -0.02] };

class Drag extends mpld3.Plugin {
  static figure = null; // the figure that is shown
  static answer = null; // what Python said last
  static moved = () => {}; // what the page wants to know

  /** Shows what Python computed, now or as soon as the figure is drawn; null leaves the points where they are. */
  static show(points, curve) {
    Drag.answer = { points, curve };
    Drag.figure?.take(Drag.answer);
  }

  draw() {
    const d3 = mpld3.d3; // mpld3's own d3, version 5
    [this.markers, this.polygon, this.curve] = ['points', 'polygon', 'curve']
      .map((name) => mpld3.get_element(this.props[name], this.fig));
    const { ax, offsets, props: { xindex, yindex } } = this.markers;
    this.points = offsets.map((row) => [row[xindex], row[yindex]]);

    this.markers.elements()
      .style('cursor', 'grab').style('touch-action', 'none')
      .attr('tabindex', 0).attr('role', 'button')
      .attr('aria-label', (_, i) => `Point ${i + 1}, to be moved with the arrow keys`)
      .on('keydown', (_, i) => {
        const step = STEPS[d3.event.key];
        if (!step) return;
        d3.event.preventDefault();
        this.move(i, [this.points[i][0] + step[0], this.points[i][1] + step[1]]);
      })
      .call(d3.drag()
        .subject((_, i) => ({ x: ax.x(this.points[i][0]), y: ax.y(this.points[i][1]) }))
        .on('drag', (_, i) => this.move(i, [ax.x.invert(d3.event.x), ax.y.invert(d3.event.y)])));

    Drag.figure = this;
    if (Drag.answer) this.take(Drag.answer);
  }

  move(i, point) {
    this.points[i] = point.map((value) => Math.min(1, Math.max(0, value)));
    this.place();
    Drag.moved(this.points);
  }

  take({ points, curve }) {
    this.curve.path.attr('d', this.line(curve));
    if (points) this.points = points;
    this.place();
  }

  place() {
    const { ax } = this.markers;
    this.polygon.path.attr('d', this.line(this.points));
    this.markers.elements()
      .attr('transform', (_, i) => `translate(${ax.x(this.points[i][0])},${ax.y(this.points[i][1])})`);
  }

  line(points) {
    const { ax } = this.markers;
    return mpld3.d3.line().x((point) => ax.x(point[0])).y((point) => ax.y(point[1]))(points);
  }
}

Drag.prototype.requiredProps = ['points', 'polygon', 'curve'];
mpld3.register_plugin('drag', Drag);
