"""The plotting library Vega-Lite, which is embedded in the page so that the page loads nothing from the network."""

from functools import cache

from cme.extras import need

__all__ = ["library"]


@cache
def library() -> str:
    """Return Vega, Vega-Lite and Vega-Embed (BSD 3-Clause) as one script that defines ``vegaEmbed``.

    The installed ``vl-convert-python`` makes the script in about two seconds. Equal versions give identical bytes.

    Raises:
        MissingExtraError: ``vl-convert-python`` is not installed.
    """
    vl_convert = need("vl_convert", extra="leaderboard", for_="The page of the leaderboard")
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    # The escaped form is the same string in JavaScript, and HTML does not take it for the end of the script.
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--").strip()
